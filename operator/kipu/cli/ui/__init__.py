"""`kipu ui`: Workflows in a browser of this machine, with the rights of the person who asks.

Promises: it listens on this machine's own address, and it only reads (docs/ui.md). Must never write anything to a
cluster.
"""

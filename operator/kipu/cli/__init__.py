"""The command line, for people: `kipu run FILE`, `history NAME`, `export NAME`, `verify FILE` and `salvage FILE`.

It never writes a log but that of its own run. `cluster` is the only module that touches the official Kubernetes client,
which the operator's image does not hold (ADR 0004).
"""

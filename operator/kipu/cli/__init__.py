"""The command line, for people: `kipu history NAME`, `export NAME`, `verify FILE` and `salvage FILE`.

It never writes a log. `cluster` is the only module that touches the official Kubernetes client, which the operator's
image does not hold (ADR 0004).
"""

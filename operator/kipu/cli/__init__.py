"""The command line, for people: `kipu history NAME` and `kipu verify FILE`.

It reads and never writes. `cluster` is the only module that touches the official Kubernetes client, which the
operator's image does not hold (ADR 0004).
"""

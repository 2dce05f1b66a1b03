"""The command line, for people: Workflows run without a cluster, asked about, created, and asked of in a cluster.

It never writes a log but that of its own run. `cluster` is the only module that touches the official Kubernetes client,
which the operator's image does not hold (ADR 0004).
"""

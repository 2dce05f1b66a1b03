"""Which workflows this replica serves. One function, so that a Lease or shards change one file.

Today the chart runs one replica (strategy Recreate), so it owns all. Safety never rests on this: the log's
compare-and-swap is what fences a second writer (design 01, point 5).
"""

from __future__ import annotations


def owns(uid: str) -> bool:  # noqa: ARG001 - the signature is the contract
    """Whether this replica may open the workflow with this uid now."""
    return True

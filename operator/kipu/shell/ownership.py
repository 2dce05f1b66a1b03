"""Which workflows this replica serves. One place, so that shards change one file.

Today all or none: whoever leads serves every Workflow, the others stand by. Safety never rests on this: the log's
compare-and-swap is what fences a second writer (design 01, point 5).
"""

from __future__ import annotations

from collections.abc import Callable

from .elector import Elector

Owns = Callable[[str], bool]  # uid -> whether this replica may open that workflow now


def everything(uid: str) -> bool:  # noqa: ARG001 - the signature is the contract
    """For a replica that asks nobody. Two of them do no harm, but get in each other's way."""
    return True


def while_leading(elector: Elector) -> Owns:
    """For a replica that asks a Lease."""

    def owns(uid: str) -> bool:  # noqa: ARG001 - the signature is the contract
        return elector.is_leading

    return owns

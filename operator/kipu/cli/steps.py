"""Steps and items by the names that a person gives them.

Promises: an unknown name is answered by the nearest one, or by what there is.
"""

from __future__ import annotations

from kipu.core.naming import item_name, step_of
from kipu.core.state import State
from kipu.core.texts import nearest

from .details import printable, some
from .errors import CannotTell

NAME_LENGTH_MAX = 80  # of one that was not found: each is compared


def place_of(state: State, step: str, workflow: str) -> int:
    """Where the step, or the item `STEP[INDEX]`, stands. Raises CannotTell with the nearest name."""
    if state.graph is None:
        why = "was rejected" if state.is_terminal else "was not taken up yet"
        raise CannotTell(f"Workflow '{workflow}' {why}, and has no steps: 'kipu get {workflow}' says more")
    place = state.place_of(step)
    if place is not None:
        return place
    parent = state.graph.index.get(step_of(step))
    fanout = state.fanouts.get(-1 if parent is None else parent)
    if parent is not None and fanout is not None:
        items = f"has {fanout.total} items: {item_name(state.name(parent), 0)} and so on"
        raise CannotTell(f"there is no item '{printable(step)}': step '{state.name(parent)}' {items}")
    if parent is not None:
        raise CannotTell(f"step '{state.name(parent)}' has no items" + _begun(state, parent))
    hint = nearest(step[:NAME_LENGTH_MAX], state.graph.index) or f"there are {some(list(state.graph.index))}"
    raise CannotTell(f"Workflow '{workflow}' has no step '{printable(step[:NAME_LENGTH_MAX])}'; {hint}")


def _begun(state: State, place: int) -> str:
    return "" if state.step(place).for_each is None else ": it has not begun"

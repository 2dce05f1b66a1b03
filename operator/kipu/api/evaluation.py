"""The expressions of a step on a state: what `decide` asks when the step could start (`core.language`).

Promises: pure; total: whatever goes wrong is an Unevaluated in plain words. Reads committed facts alone: outputs are
those of the log, never what a pod says. Must never be asked in a replay.
"""

from __future__ import annotations

from collections.abc import Sequence

from kipu.core.commands import OUTPUTS_BYTES_MAX
from kipu.core.definition import ITEMS_IN_ALL_MAX, Definition, ValueType
from kipu.core.errors import Problem
from kipu.core.events import Items
from kipu.core.language import EFFORT_MAX, Evaluated, Unevaluated
from kipu.core.lifecycle import TERMINAL_STEP_PHASES
from kipu.core.state import Fanout, State, StepState
from kipu.core.texts import json_bytes

from . import fan_out, scopes, values
from .cel_cost import COST_MAX, Cost, Shared
from .expressions import Absent, Expected, Expression, Failure, Lookup, parse
from .passthrough import clean
from .references import Fault, Path, Scope
from .templates import Template, parse_template

TEXTS_BYTES_MAX = OUTPUTS_BYTES_MAX  # of all texts of a step as they are recorded: half a record (codec)


class Evaluator:
    """Of one workflow. Keeps nothing but what it can compute again from the definition and the state."""

    def __init__(self, *, namespace: str, name: str, uid: str) -> None:
        self._workflow = {"namespace": namespace, "name": name, "uid": uid}
        self._definition: Definition | None = None
        self._names = scopes.Names({}, {})
        # By place and output, with the fan-out that it is of: each item of each dependent reads it.
        self._gathered: dict[tuple[int, str], tuple[Fanout, Shared]] = {}

    def __call__(self, state: State, place: int) -> Evaluated | Unevaluated:
        """What the expressions of the step at this place come to."""
        step, is_item = state.step(place), state.fanout_of(place) is not None
        # A fan-out is asked whether it begins at all, each of its items what it reads.
        when = None if is_item else step.when
        templates = list(scopes.templates(step.pod)) if is_item or step.for_each is None else []
        source = None if is_item or step.for_each is None else step.for_each.expression
        if when is None and source is None and not templates:
            return Evaluated()
        if self._definition is not state.definition:
            assert state.definition is not None
            self._definition, self._names = state.definition, scopes.names(state.definition)
        scope, lookup, cost = scopes.scope(self._names, step), self._lookup(state, place), Cost()
        try:
            outside = scopes.outside(scope)
            if when is not None and not _evaluate("when", when, Expected.CONDITION, outside, lookup, cost):
                return Evaluated(holds=False, effort=_effort(cost))
            items = None if source is None else _items(state, source, outside, lookup, cost)
            texts = {path: _render(path, text, scope, lookup, cost) for path, text in templates}
        except Failure as failure:
            return Unevaluated(message=str(failure), effort=_effort(cost))
        size = sum(json_bytes(path) + json_bytes(text) + 2 for path, text in texts.items())
        if size > TEXTS_BYTES_MAX:
            return Unevaluated(message=f"its texts come to {size} bytes, at most {TEXTS_BYTES_MAX} can be recorded")
        return Evaluated(values=texts, items=items, effort=_effort(cost))

    def _lookup(self, state: State, place: int) -> Lookup:
        outcome = {} if state.outcome is None else {"outcome": state.outcome.value}  # known to the steps of finally
        workflow = {**self._workflow, **outcome, "run": state.run}
        item = state.item_value(place)

        def look_up(path: Path) -> object:
            assert state.definition is not None
            match path:
                case ("params", name):
                    return state.definition.params[name]
                case ("workflow", name):
                    return workflow[name]
                case ("index",) if item is not None:
                    return item[0]
                case ("item",) if item is not None:
                    return item[1]
                case ("steps", name, "outputs", output) if (fanout := _over(state, name)) is not None:
                    return self._gather(state, fanout, output)
                case ("steps", name, *rest):
                    return _of_step(state, name, rest)
            raise Absent(f"{'.'.join(path)} is not known here")

        return look_up

    def _gather(self, state: State, fanout: Fanout, output: str) -> Shared:
        """What the items have written, in their order; None for those that have not."""
        key = fanout.parent, output
        kept, found = self._gathered.get(key, (None, Shared()))
        if kept is not fanout:
            kind = _type_of(state, fanout.parent, output)
            written = (fanout.outputs.get(index, {}).get(output) for index in range(fanout.total))
            found = Shared(None if value is None else values.read(value, kind) for value in written)
            self._gathered[key] = fanout, found
        return found


def _over(state: State, name: str) -> Fanout | None:
    """The fan-out of this step, once all is said."""
    place = state.place_of(name)
    assert place is not None
    return state.fanouts.get(place) if state.steps[place].phase in TERMINAL_STEP_PHASES else None


def _effort(cost: Cost) -> int:
    """As a share of what a turn may do."""
    return min(cost.spent, COST_MAX) * EFFORT_MAX // COST_MAX


def _of_step(state: State, name: str, path: list[str]) -> object:
    place = state.place_of(name)
    assert place is not None
    step = state.steps[place]
    match path:
        case ["phase"]:
            return step.phase.value
        case ["attempts"]:
            return step.attempts
        case ["exitCode"]:
            if step.exit_code is None:
                raise Absent(f"step '{name}' has no exit code: {_why_not(step)}")
            return step.exit_code
    output = path[-1]
    if step.outputs is None or output not in step.outputs:
        raise Absent(f"step '{name}' has no output '{output}': {_why_not(step)}")
    return values.read(step.outputs[output], _type_of(state, place, output))


def _type_of(state: State, place: int, output: str) -> ValueType:
    return next(declared.type for declared in state.step(place).outputs if declared.name == output)


def _why_not(step: StepState) -> str:
    if step.phase not in TERMINAL_STEP_PHASES:
        return f"it has not ended, it is {step.phase}"
    return "it was adopted" if step.attempt is None and step.phase == "Succeeded" else f"it is {step.phase}"


def _items(state: State, source: str, scope: Scope, lookup: Lookup, cost: Cost) -> Items:
    """What an expression yields, as it is recorded."""
    yielded = _evaluate("forEach.expression", source, Expected.ITEMS, scope, lookup, cost)
    assert isinstance(yielded, list)
    problems: list[Problem] = []
    items = fan_out.checked(yielded, "forEach.expression", problems)
    if problems:
        raise Failure(str(problems[0]))
    if len(items) + len(state.owners) > ITEMS_IN_ALL_MAX:
        raise Failure(f"forEach.expression: with its {len(items)} items the workflow has more than {ITEMS_IN_ALL_MAX}")
    return items


def _evaluate(path: str, text: str, expected: Expected, scope: Scope, lookup: Lookup, cost: Cost) -> object:
    expression = parse(text, scope, expected)
    if not isinstance(expression, Expression):
        raise Failure(f"{path}: {_first(expression)}")  # accepted by another version
    try:
        return expression.evaluate(lookup, cost)
    except Failure as failure:
        raise Failure(f"{path}: {failure}") from None


def _render(path: str, text: str, scope: Scope, lookup: Lookup, cost: Cost) -> str:
    """The text as it is recorded: as it will stand in the manifest, or of a param its JSON."""
    template = parse_template(text, scope)
    if not isinstance(template, Template):
        raise Failure(f"{path}: {_first(template)}")
    try:
        if not path.startswith(scopes.PARAMS):
            return template.render(lookup, cost)
        return _param(template.value(lookup, cost))
    except Failure as failure:
        raise Failure(f"{path}: {failure}") from None


def _param(value: object) -> str:
    """The JSON of a param's value, which the child's own rules will judge."""
    problems: list[Problem] = []
    clean(value, "it", problems)
    try:
        written = values.canonical(value)
    except ValueError as error:
        raise Failure(str(error)) from None
    if problems or value is None:
        raise Failure(str(problems[0]) if problems else "null is no value of a param")
    return written


def _first(faults: Sequence[Fault]) -> str:
    return faults[0].reason

"""What an expression may speak of, and what it does speak of: params, steps, item, index, workflow.

CEL has no type for "a map of steps, each with outputs of its own types", so each reference becomes a variable of its
own with just the type that it has, of the same length, so that the library's columns are those of the text:

    steps['fetch-data'].outputs.rows > 0        becomes        _0                               > 0

Promises: total and linear; a wrong reference is named with the nearest right one, and all of them are found before
anything runs. A name that is none of ours is left to the library: it may be bound by a macro.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from kipu.core.texts import nearest

from .passthrough import printable
from .tokens import Kind, Token, string_value, tokens

NAME_COMPARED_MAX = 100  # characters of a wrong name that are compared with the right ones
DYN, STRING, INT, BOOL, DOUBLE = "dyn", "string", "int", "bool", "double"
LIST, MAP = "list", "map"  # of anything; a map's keys are strings
WORKFLOW = {"name": STRING, "namespace": STRING, "uid": STRING, "run": INT}
STEP = {"phase": STRING, "exitCode": INT, "attempts": INT}
T = TypeVar("T")
Path = tuple[str, ...]  # such as ("steps", "fetch-data", "outputs", "rows")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What the expressions of one step may speak of."""

    step: str
    params: Mapping[str, str] = field(default_factory=dict)  # the type of each
    outputs: Mapping[str, Mapping[str, str]] = field(default_factory=dict)  # of every step: the type of each output
    is_upstream: Callable[[str], bool] = lambda _: True  # whether that step is over before this one starts
    has_item: bool = False  # in a fan-out
    workflow: Mapping[str, str] = field(default_factory=lambda: WORKFLOW)


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with an expression, and what to do about it."""

    reason: str
    hint: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """A variable of the rewritten text. `tested`: it is asked for by `has()` whether there is one."""

    path: Path
    type: str
    tested: bool = False


@dataclass(slots=True, kw_only=True)
class Scan:
    """The rewritten text, its variables, and all that is wrong."""

    source: str = ""
    variables: dict[str, Reference] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)


def scan(text: str, scope: Scope) -> Scan:
    """Find and rewrite every reference."""
    found = Scan()
    reader = _Reader(text, scope, found)
    while reader.place < len(reader.tokens):
        reader.step()
    found.source = "".join(reader.written)
    return found


class _Wrong(Exception):
    """The reference cannot be resolved. For this file alone."""

    def __init__(self, reason: str, hint: str = "") -> None:
        super().__init__(reason)
        self.fault = Fault(reason, hint)


class _Reader:
    """Walks the tokens once. Blanks between the tokens of a reference are skipped."""

    def __init__(self, text: str, scope: Scope, found: Scan) -> None:
        self.tokens = list(tokens(text))
        self.place = 0
        self.written: list[str] = []
        self._text = text
        self._scope = scope
        self._found = found
        self._after_dot = False

    def step(self) -> None:
        """Take one token, or one whole reference."""
        token = self.tokens[self.place]
        begin = self.place
        self.place += 1
        is_name = token.kind is Kind.NAME and not self._after_dot
        if token.kind is not Kind.BLANK:
            self._after_dot = token.text == "."
        try:
            if is_name and token.text == "has":
                self._tested(token)
                return
            if is_name and token.text in ("steps", "params", "workflow"):
                self._write(token, self._reference(token))
                return
            if is_name and token.text in ("item", "index") and self._scope.has_item:
                self._write(token, Reference(path=(token.text,), type=INT if token.text == "index" else DYN))
                return
        except _Wrong as wrong:
            self._found.faults.append(wrong.fault)
            self.place = max(self.place, begin + 1)
            return
        self.written.append(token.text)

    # -- references ----------------------------------------------------------------------------------

    def _tested(self, token: Token) -> None:
        """`has(reference)` is a variable too; any other `has` is the library's."""
        begin = self.place
        head = self._next() if self._take("(") else None
        if head is not None and head.kind is Kind.NAME and head.text in ("steps", "params"):
            reference = self._reference(head)
            if self._take(")"):
                self._write(token, Reference(path=reference.path, type=BOOL, tested=True))
                return
        self.place = begin
        self.written.append(token.text)

    def _reference(self, head: Token) -> Reference:
        match head.text:
            case "params":
                return self._param()
            case "workflow":
                name = self._member("workflow", "name")
                kind = self._known(name, self._scope.workflow, "workflow has no", "")
                return Reference(path=("workflow", name), type=kind)
        return self._step_reference()

    def _param(self) -> Reference:
        name = self._member("params", "NAME")
        if name not in self._scope.params and not self._scope.params:
            raise _Wrong(f"there is no param '{printable(name)}'", "spec.params has none")
        return Reference(path=("params", name), type=self._known(name, self._scope.params, "there is no param", ""))

    def _step_reference(self) -> Reference:
        name = self._step_name()
        scope = self._scope
        shown = f"steps['{printable(name)}']"
        outputs = self._known(name, scope.outputs, "there is no step", "")
        if name == scope.step:
            raise _Wrong(f"{shown} is this step itself", "an expression is evaluated before its step starts")
        if not scope.is_upstream(name):
            raise _Wrong(
                f"{shown} is not upstream of step '{scope.step}': it may not be over when this is evaluated",
                f"add '{name}' to dependsOn",
            )
        member = self._member(shown, "outputs.NAME")
        if member != "outputs":
            kind = self._known(member, STEP | {"outputs": ""}, f"{shown} has no", "")
            return Reference(path=("steps", name, member), type=kind)
        output = self._member(f"{shown}.outputs", "NAME")
        if not outputs:
            raise _Wrong(f"step '{name}' declares no output '{printable(output)}'", f"add outputs to step '{name}'")
        kind = self._known(output, outputs, f"step '{name}' declares no output", "")
        return Reference(path=("steps", name, "outputs", output), type=kind)

    def _step_name(self) -> str:
        begin = self.place
        if self._take("."):
            self._refuse_subtraction()
            self.place = begin
        name = self._member("steps", "NAME")
        return name

    def _refuse_subtraction(self) -> None:
        """`steps.fetch-data`: whether what follows the dot, dashes included, is the name of a step."""
        begin = self.tokens[self.place].start if self.place < len(self.tokens) else len(self._text)
        end = begin
        while self.place < len(self.tokens):
            token = self.tokens[self.place]
            if token.kind not in (Kind.NAME, Kind.NUMBER) and token.text != "-":
                break
            end = token.end
            self.place += 1
        name = self._text[begin:end]
        if "-" in name and name in self._scope.outputs:
            raise _Wrong(f"steps.{name} is a subtraction in CEL", f"write steps['{name}']")

    # -- tokens --------------------------------------------------------------------------------------

    def _known(self, name: str, known: Mapping[str, T], reason: str, hint: str) -> T:
        if name not in known:
            raise _Wrong(f"{reason} '{printable(name)}'", hint or nearest(name[:NAME_COMPARED_MAX], known))
        return known[name]

    def _member(self, of: str, example: str) -> str:
        """The name in `.NAME` or `['NAME']`."""
        if self._take("."):
            token = self._next()
            if token is not None and token.kind is Kind.NAME:
                return token.text
        elif self._take("["):
            token = self._next()
            name = None if token is None else string_value(token)
            if name is not None and self._take("]"):
                return name
            raise _Wrong(
                f"in {of}[...] stands the name itself, in quotes", "what is not known before the run is refused"
            )
        raise _Wrong(f"{of} cannot be used as a whole", f"write {of}.{example}" if of != "steps" else "steps['NAME']")

    def _next(self) -> Token | None:
        while self.place < len(self.tokens):
            token = self.tokens[self.place]
            self.place += 1
            if token.kind is not Kind.BLANK:
                return token
        return None

    def _take(self, sign: str) -> bool:
        """Whether the next token is this sign; if so it is taken."""
        begin = self.place
        token = self._next()
        if token is not None and token.text == sign:
            return True
        self.place = begin
        return False

    def _write(self, first: Token, reference: Reference) -> None:
        """A variable in the reference's stead, of the same length; line ends stay where they are."""
        name = next((n for n, r in self._found.variables.items() if r == reference), f"_{len(self._found.variables)}")
        self._found.variables[name] = reference
        old = self._text[first.start : self.tokens[self.place - 1].end]
        self.written.append(name + "".join("\n" if c == "\n" else " " for c in old[len(name) :]))
        self._after_dot = False

"""`${{ }}` in a text: what is put in, and what the kubelet makes of it."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kipu.api.cel_cost import Cost
from kipu.api.expressions import Failure
from kipu.api.references import Path, Scope
from kipu.api.templates import EXPRESSIONS_MAX, Template, parse_template

SCOPE = Scope(step="s", params={"a": "string", "b": "string", "n": "int", "l": "list"})


def render(text: str, **params: object) -> str:
    found = parse_template(text, SCOPE)
    assert isinstance(found, Template), found

    def look_up(path: Path) -> object:
        return params[path[1]]

    return found.render(look_up, Cost())


def as_the_kubelet_reads(text: str) -> str:
    """third_party/forked/golang/expansion: `$(NAME)` is a variable, `$$` one `$`, anything else stands."""
    return re.sub(r"\$\$|\$\(([^)]*)\)", lambda m: "$" if m[0] == "$$" else f"<variable {m[1]}>", text)


@pytest.mark.parametrize(
    ("text", "rendered"),
    [
        ("plain $(HOME) text", "plain $(HOME) text"),
        ("${{ params.a }}", "x"),
        ("${{params.a}}-${{ params.n + 1 }}", "x-8"),
        ("${{ {'k': {'l': params.l}} }}", '{"k":{"l":[1,2]}}'),
        ("${{ '}}' }} }}", "}} }}"),
        ("${{ params.n > 3 ? 'many' : 'few' }}", "many"),
        ("$${{ params.a }}", "$x"),
    ],
)
def test_the_value_stands_where_the_expression_stood(text: str, rendered: str) -> None:
    assert render(text, a="x", n=7, l=[1, 2]) == rendered


_DOLLARS = st.text("$()xA", max_size=6)


@given(_DOLLARS, _DOLLARS)
def test_the_kubelet_reads_a_value_as_it_was_written(a: str, b: str) -> None:
    assert as_the_kubelet_reads(render("${{ params.a }}${{ params.b }}", a=a, b=b)) == a + b
    assert as_the_kubelet_reads(render("$${{ params.a }} $(HOME)", a=a)) == f"${a} <variable HOME>"
    assert as_the_kubelet_reads(render("$$${{ params.a }}", a=a)) == f"${a}"
    assert as_the_kubelet_reads(render("${{ params.a }}(HOME)", a=a)) == f"{a}(HOME)"
    assert as_the_kubelet_reads(render("${{ params.a }}$(HOME)", a=a)) == f"{a}<variable HOME>"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("${{ params.a", "is not closed"),
        ("${{ 'a' ", "is not closed"),
        ("${{ '}}", "Syntax error"),
        ("${{ }}", "is empty"),
        ("${{ params.z }}", "${{ params.z }}: there is no param 'z'"),
        ("${{ null }}", "yields null, which has no text here"),
        ("${{ b'x' }}", "yields bytes"),
        ("${{ params.n }}" * (EXPRESSIONS_MAX + 1), "holds more than 32 expressions"),
    ],
)
def test_what_is_wrong_is_said_with_the_expression(text: str, reason: str) -> None:
    found = parse_template(text, SCOPE)
    assert not isinstance(found, Template)
    assert reason in found[0].reason


def test_as_many_expressions_as_are_allowed_are_taken() -> None:
    assert render("${{ params.n }}" * EXPRESSIONS_MAX, n=1) == "1" * EXPRESSIONS_MAX


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("${{ params.l[9] }}", "${{ params.l[9] }}: Index error"),
        ("${{ params.l[0] }}", "null has no text"),
        ("${{ '\\u0000' }}", "a NUL character"),
        ("${{ 'e' + '\\u0301' }}", "composed form"),
    ],
)
def test_a_text_that_cannot_be_made_fails_in_plain_words(text: str, message: str) -> None:
    with pytest.raises(Failure) as failure:
        render(text, l=[None])
    assert message in str(failure.value)

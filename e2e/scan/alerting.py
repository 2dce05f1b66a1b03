"""The alerts as Helm renders them, evaluated by Prometheus' own code: alerts/cases.yaml, alerts/main.go.

Promises: a word for each alert that does not fire as its cases say, and for one whose cases would not notice that its
`for` is one evaluation longer or shorter, or that a comparison is on the other side of its edge.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from .programs import run

CASES = Path(__file__).parent / "alerts" / "cases.yaml"
EVALUATION = timedelta(seconds=30)  # evaluation_interval of the cases
COMPARISON = re.compile(r"[<>]=?(?= [\d.])")
COMPARISONS_MAX = 3  # in one rule
UNITS = {"s": "seconds", "m": "minutes", "h": "hours"}

Rule = dict[str, Any]
Rules = dict[str, Any]


def faults(rendered: Iterable[Mapping[str, Any]], folder: Path) -> list[str]:
    """What is to be mended, in words. The rules that are evaluated are left in the folder."""
    (rules,) = [dict(each["spec"]) for each in rendered if each["kind"] == "PrometheusRule"]
    return evaluate(rules, folder / "alerts.yaml") or [
        f"{alert}: no case notices {what}"
        for what, changed, alerts in planted(rules)
        for alert in alerts - noticed(evaluate(changed, folder / "alerts-planted.yaml"))
    ]


def evaluate(rules: Rules, file: Path) -> list[str]:
    """What does not fire as it should, each with what fires instead."""
    file.write_text(yaml.safe_dump(rules), encoding="utf-8")
    printed = run("alerts", str(file), str(CASES), codes=(0, 1))
    return [each.rstrip() for each in re.split(r"^(?=\S)", printed, flags=re.MULTILINE) if each]


def noticed(words: Iterable[str]) -> set[str]:
    """The alerts that these are about."""
    return {each.partition(":")[0] for each in words}


# -- planted faults ----------------------------------------------------------------------------------------


def planted(rules: Rules) -> Iterator[tuple[str, Rules, set[str]]]:
    """What is changed, all rules with that change, and the alerts that it changes."""
    yield "that it fires 30 s later", *changed(rules, partial(longer, by=EVALUATION))
    yield "that it fires 30 s sooner", *changed(rules, partial(longer, by=-EVALUATION))
    for place in range(COMPARISONS_MAX):
        what = f"the other side of the edge of its comparison {place + 1}"
        yield what, *changed(rules, partial(beside, place=place))


def changed(rules: Rules, change: Callable[[Rule], bool]) -> tuple[Rules, set[str]]:
    """A copy in which each rule is changed, and which ones it has changed."""
    made = copy.deepcopy(rules)
    every = [rule for group in made["groups"] for rule in group["rules"]]
    return made, {rule["alert"] for rule in every if change(rule)}


def longer(rule: Rule, by: timedelta) -> bool:
    """Whether it waits at all: then so much longer."""
    if "for" not in rule:
        return False
    waits = timedelta(**{UNITS[rule["for"][-1]]: int(rule["for"][:-1])}) + by
    rule["for"] = f"{waits.total_seconds():.0f}s"
    return True


def beside(rule: Rule, place: int) -> bool:
    """Whether it has so many comparisons: then what was equal to the bound is on its other side."""
    found = list(COMPARISON.finditer(rule["expr"]))
    assert len(found) <= COMPARISONS_MAX, rule["alert"]
    if place >= len(found):
        return False
    sign = found[place].group()
    other = sign[:1] if sign.endswith("=") else f"{sign}="
    rule["expr"] = rule["expr"][: found[place].start()] + other + rule["expr"][found[place].end() :]
    return True

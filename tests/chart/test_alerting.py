"""The cases of the alerts ask for what the operator exposes, and leave out no alert. `make scan` evaluates them."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml
from promql_parser import VectorSelector

from e2e.scan.alerting import CASES, COMPARISONS_MAX, EVALUATION, beside, changed, longer, noticed, planted
from tests.chart.test_monitoring import OF_THE_SCRAPE, RULES, labels_of, parse

DOCUMENT = yaml.safe_load(CASES.read_text(encoding="utf-8"))
SERIES = {each["series"] for case in DOCUMENT["tests"] for each in case["input_series"]}
EXPECTED = [each for case in DOCUMENT["tests"] for each in case["alert_rule_test"]]


def rules(**more: Any) -> dict[str, Any]:
    return {"groups": [{"name": "kipu", "rules": [{"alert": "A", **more}]}]}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_an_alert_has_a_case_in_which_it_fires_and_one_in_which_it_never_does(rule: dict[str, Any]) -> None:
    of_cases = [
        [bool(each.get("exp_alerts")) for each in case["alert_rule_test"] if each["alertname"] == rule["alert"]]
        for case in DOCUMENT["tests"]
    ]
    assert any(any(fires) for fires in of_cases)
    assert any(fires and not any(fires) for fires in of_cases)


def test_the_cases_are_of_alerts_that_there_are() -> None:
    assert {each["alertname"] for each in EXPECTED} == {rule["alert"] for rule in RULES}


@pytest.mark.parametrize("series", sorted(SERIES))
def test_a_series_of_a_case_is_one_that_the_operator_exposes_with_all_its_labels(series: str) -> None:
    selector = parse(series)
    assert isinstance(selector, VectorSelector)
    asked = {matcher.name for matcher in selector.matchers.matchers}
    assert asked - OF_THE_SCRAPE == labels_of(selector.name or "") - OF_THE_SCRAPE


def test_all_is_evaluated_each_30_seconds() -> None:
    assert f"{EVALUATION.total_seconds():.0f}s" == DOCUMENT["evaluation_interval"]
    assert {case["interval"] for case in DOCUMENT["tests"]} == {DOCUMENT["evaluation_interval"]}


# -- planted faults ----------------------------------------------------------------------------------------


def test_a_planted_fault_is_in_each_rule_that_can_have_it_and_never_in_the_rules_themselves() -> None:
    original = rules(expr="a > 1 unless b >= 2", **{"for": "2m"})
    found = [(made["groups"][0]["rules"][0], alerts) for _, made, alerts in planted(original)]
    assert [(rule["for"], rule["expr"]) for rule, alerts in found if alerts] == [
        ("150s", "a > 1 unless b >= 2"),
        ("90s", "a > 1 unless b >= 2"),
        ("2m", "a >= 1 unless b >= 2"),
        ("2m", "a > 1 unless b > 2"),
    ]
    assert original == rules(expr="a > 1 unless b >= 2", **{"for": "2m"})


def test_a_rule_that_does_not_wait_cannot_wait_longer() -> None:
    assert changed(rules(expr="a > 1"), lambda rule: longer(rule, EVALUATION)) == (rules(expr="a > 1"), set())


def test_a_matcher_is_no_comparison() -> None:
    assert not beside({"alert": "A", "expr": 'absent(a{b=~"1|2",c!~"3"})'}, 0)


def test_each_comparison_of_the_chart_is_planted() -> None:
    for rule in RULES:
        signs = re.findall(r"[<>]=?", re.sub(r'"[^"]*"', "", rule["expr"]))
        assert [place for place in range(COMPARISONS_MAX) if beside(dict(rule), place)] == [*range(len(signs))]


def test_what_is_noticed_is_told_by_the_alert() -> None:
    assert noticed(["KipuNoLeader: a case: after 2m fires\n    nothing\n  and not\n    {}"]) == {"KipuNoLeader"}

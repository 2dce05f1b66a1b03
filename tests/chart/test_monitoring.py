"""The chart's alerts and dashboard ask for metrics that there are, in PromQL that can be parsed. Needs no helm."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import promql_parser
import pytest
import yaml
from promql_parser import AggregateExpr, BinaryExpr, Expr, VectorSelector

from kipu.core.errors import CorruptionError
from kipu.eventlog.ports import LogFull
from kipu.shell.telemetry import PASSING, STALLING, Telemetry
from kipu.shell.witnesses import HistoryRollback
from tests.chart.tools import CHART

ROOT = CHART.parents[1]
RULES = [
    rule
    for group in yaml.safe_load((CHART / "files/alerts.yaml").read_text(encoding="utf-8"))["groups"]
    for rule in group["rules"]
]
DASHBOARD = json.loads((CHART / "files/dashboard.json").read_text(encoding="utf-8"))
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
RUNBOOK = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
METRICS = (ROOT / "docs/metrics.md").read_text(encoding="utf-8")
OF_THE_SCRAPE = {"namespace", "pod", "le"}  # labels that Prometheus adds, or a histogram has
each_rule = pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
each_panel = pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])


def parse(text: str) -> Expr:
    return promql_parser.parse(text.replace("$__rate_interval", "5m"))


def nodes(expression: Expr) -> Iterator[Expr]:
    found: list[Expr] = []
    promql_parser.walk(expression, lambda node: found.append(node))
    return iter(found)


DESCRIBED = {each.name: set(each.labels) for each in Telemetry().described}
PROCESS = {"process_cpu_seconds_total": set[str](), "process_resident_memory_bytes": set[str]()}


def labels_of(name: str) -> set[str]:
    """Of this series of ours, or of any Python process. Raises KeyError where there is none."""
    return (DESCRIBED | PROCESS)[re.sub(r"(_seconds)_(bucket|count|sum)$", r"\1", name)]


def check(text: str) -> None:
    """Each series is there, and each label that is asked for is one of its own."""
    known = set(OF_THE_SCRAPE)
    grouped: set[str] = set()
    for node in nodes(parse(text)):
        if isinstance(node, VectorSelector):
            labels = labels_of(node.name or "")
            known |= labels
            assert {matcher.name for matcher in node.matchers.matchers} <= labels | OF_THE_SCRAPE, text
        elif isinstance(node, AggregateExpr) and node.modifier is not None:
            grouped |= set(node.modifier.labels)
    assert grouped <= known, text


# -- alerts ----------------------------------------------------------------------------------------------------


@each_rule
def test_a_rule_asks_for_what_there_is(rule: dict[str, Any]) -> None:
    check(rule["expr"])


@each_rule
def test_a_rule_is_a_question_and_not_only_a_figure(rule: dict[str, Any]) -> None:
    expression = parse(rule["expr"])
    assert isinstance(expression, BinaryExpr)
    assert str(expression.op) in {">", "<", "or", "unless"}, rule["alert"]


@each_rule
def test_a_rule_says_how_bad_it_is_and_what_has_happened(rule: dict[str, Any]) -> None:
    assert rule["labels"] == {"severity": rule["labels"]["severity"]}
    assert rule["labels"]["severity"] in {"critical", "warning"}
    assert set(rule["annotations"]) == {"summary", "description"}  # the template adds the runbook_url
    assert re.fullmatch(r"Kipu[A-Z]\w+", rule["alert"])
    for label in re.findall(r"\$labels\.(\w+)", str(rule["annotations"])):
        assert re.search(rf"by \([^)]*\b{label}\b", rule["expr"]), label


def test_each_alert_has_its_entry_in_the_runbook_and_its_line_in_the_list_and_there_are_no_others() -> None:
    alerts = [rule["alert"] for rule in RULES]
    assert len(alerts) == len(set(alerts))
    assert re.findall(r"^### (Kipu\w+)$", RUNBOOK, re.MULTILINE) == alerts
    assert re.findall(r"^\| \[(Kipu\w+)\]", METRICS, re.MULTILINE) == alerts
    linked = re.findall(r"^\| \[(Kipu\w+)\]\(operations\.md#(\w+)\) \| (\w+) \|", METRICS, re.MULTILINE)
    assert linked == [(rule["alert"], rule["alert"].lower(), rule["labels"]["severity"]) for rule in RULES]


def test_the_template_links_each_alert_to_its_entry() -> None:
    template = (CHART / "templates/alerts.yaml").read_text(encoding="utf-8")
    assert '"runbook_url" (printf "%s#%s" $.Values.alerts.runbookUrl (lower $rule.alert))' in template
    values = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
    assert (ROOT / values["alerts"]["runbookUrl"]).read_text(encoding="utf-8") == RUNBOOK


def names_of(kind: type) -> set[str]:
    """Of this error and all of its kinds, as far as the operator has them."""
    is_ours = kind.__module__.startswith(("kipu.core", "kipu.eventlog", "kipu.shell"))
    return ({kind.__name__} if is_ours else set()).union(*map(names_of, kind.__subclasses__()))


def test_what_stalls_a_workflow_is_what_the_rules_tell_apart() -> None:
    assert HistoryRollback.__name__ in STALLING  # and all modules of the operator are loaded
    assert set(STALLING) == names_of(CorruptionError) | names_of(LogFull)
    (stalled,) = [rule for rule in RULES if rule["alert"] == "KipuWorkflowStalled"]
    (failing,) = [rule for rule in RULES if rule["alert"] == "KipuSessionsFailing"]
    assert f'reason=~"{"|".join(STALLING)}"' in stalled["expr"]
    assert f'reason!~"{"|".join(STALLING)}|WorkflowGone"' in failing["expr"]
    assert not set(STALLING) & set(PASSING)


def test_a_reason_that_has_not_come_yet_is_there_with_zero() -> None:
    registry = Telemetry().registry
    for reason in (*STALLING, *PASSING):
        assert registry.get_sample_value("kipu_actor_failures_total", {"reason": reason}) == 0.0
    assert registry.get_sample_value("kipu_commit_failures_total", {"reason": "LogWriteRefused"}) == 0.0


# -- dashboard -------------------------------------------------------------------------------------------------


@each_panel
def test_a_panel_asks_for_what_there_is(panel: dict[str, Any]) -> None:
    assert panel["description"].endswith(".")
    for target in panel["targets"]:
        check(target["expr"])
        for label in re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]):
            assert label in target["expr"] or label in OF_THE_SCRAPE


def test_no_two_panels_have_one_id_or_one_place() -> None:
    every = DASHBOARD["panels"]
    assert len({panel["id"] for panel in every}) == len(every)
    assert len({(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in every}) == len(every)
    assert {panel["datasource"]["uid"] for panel in PANELS} == {"${datasource}"}


def test_every_metric_of_ours_is_shown_or_has_a_reason_not_to_be() -> None:
    asked = " ".join(target["expr"] for panel in PANELS for target in panel["targets"])
    hidden = {each.name for each in Telemetry().described if each.name not in asked}
    assert hidden == {
        "kipu_build_info",  # for joins
        "kipu_inquiries_total",  # for the runbook: whether a missing reason is the operator's fault
        "kipu_events_total",  # what it tells is in attempts, retries and runs
        "kipu_workflows_active",  # the running ones of kipu_workflows
    }

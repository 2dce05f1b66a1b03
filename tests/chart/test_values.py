"""The chart's values: every one has a place in the closed schema and does something. Needs no helm."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator
from typing import Any

import yaml

import kipu
from kipu.shell.settings import Settings, from_environment
from tests.chart.tools import CHART

VALUES = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
SCHEMA = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
TEMPLATES = "\n".join(path.read_text(encoding="utf-8") for path in sorted((CHART / "templates").iterdir()))
# Parts of a pod, and labels, passed through as they are.
PASSED_THROUGH = {
    *(".resources", ".podAnnotations", ".nodeSelector", ".tolerations", ".affinity", ".global"),
    *(".alerts.labels", ".dashboard.labels"),
}


def objects(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    if schema.get("type") == "object":
        yield path, schema
    for name, inner in schema.get("properties", {}).items():
        yield from objects(inner, f"{path}.{name}")


def leaves(values: dict[str, Any], path: str = "") -> Iterator[str]:
    for name, value in values.items():
        if isinstance(value, dict) and f"{path}.{name}" not in PASSED_THROUGH:
            yield from leaves(value, f"{path}.{name}")
        else:
            yield f"{path}.{name}"


def test_the_schema_is_closed() -> None:
    is_open = {path for path, schema in objects(SCHEMA) if schema.get("additionalProperties") is not False}
    assert is_open == PASSED_THROUGH - {".tolerations"}  # a list


def test_the_schema_and_the_defaults_know_the_same_values() -> None:
    known = {f".{name}" for name in SCHEMA["properties"]} - {".global"}
    assert known == {f".{name}" for name in VALUES}
    for path, schema in objects(SCHEMA):
        if path and path not in PASSED_THROUGH:
            assert set(schema["properties"]) == set(VALUES[path[1:]]), path


def test_every_value_does_something() -> None:
    unused = {path for path in leaves(VALUES) if not re.search(rf"\.Values{re.escape(path)}\b", TEMPLATES)}
    assert unused == set()


def test_the_templates_use_no_value_that_there_is_not() -> None:
    used = set(re.findall(r"\.Values((?:\.\w+)+)", TEMPLATES))
    assert used == set(leaves(VALUES))


def test_the_settings_are_those_of_the_operator() -> None:
    """A default that stood in two places and differed would be a riddle."""
    chart = from_environment(
        {
            "KIPU_PARALLELISM": str(VALUES["parallelism"]),
            "KIPU_ADVANCE_ON": VALUES["advanceOn"],
            "KIPU_LOG_LEVEL": VALUES["logLevel"],
            "KIPU_LEASE_DURATION_SECONDS": str(VALUES["lease"]["durationSeconds"]),
            "KIPU_RENEW_DEADLINE_SECONDS": str(VALUES["lease"]["renewDeadlineSeconds"]),
            "KIPU_RETRY_PERIOD_SECONDS": str(VALUES["lease"]["retryPeriodSeconds"]),
            "POD_NAME": "pod",
            "POD_UID": "0a1b",
            "POD_NAMESPACE": "kipu-system",
        }
    )
    assert chart == Settings(identity="pod", lease_holder="0a1b", lease_namespace="kipu-system")


def test_the_chart_and_the_operator_have_one_version() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))
    assert chart["appVersion"] == chart["version"] == kipu.__version__


def test_the_helm_test_runs_the_interpreter_of_the_image() -> None:
    root = CHART.parents[1]
    dockerfile = (root / "Dockerfile").read_text(encoding="utf-8")
    (python,) = re.findall(r"command: \[(\S+python), -m, kipu.shell.helm_test\]", TEMPLATES)
    assert f'ENTRYPOINT ["{python}", "-m", "kipu.shell.main"]' in dockerfile
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    assert "operator/kipu" in project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]

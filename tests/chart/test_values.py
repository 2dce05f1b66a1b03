"""The chart's values: every one has a place in the closed schema and does something. Needs no helm."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator
from typing import Any

import yaml

import kipu
from kipu.shell.settings import NAMESPACES_MAX, Settings, from_environment
from tests.chart.tools import CHART

VALUES = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
SCHEMA = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
TEMPLATES = "\n".join(path.read_text(encoding="utf-8") for path in sorted((CHART / "templates").iterdir()))
# Parts of a pod or of its labels, passed through as they are.
PASSED_THROUGH = {
    ".resources",
    ".podAnnotations",
    ".podLabels",
    ".nodeSelector",
    ".affinity",
    ".global",
    ".serviceMonitor.labels",
    ".alerts.labels",
    ".dashboard.labels",
}
LISTS_PASSED_THROUGH = {
    ".tolerations[]",
    ".topologySpreadConstraints[]",
    ".networkPolicy.metricsFrom[]",
    ".networkPolicy.dnsTo[]",
    ".extraEnv[].valueFrom",
}


def resolved(schema: dict[str, Any]) -> dict[str, Any]:
    """With what its $ref names."""
    name = schema.get("$ref", "").removeprefix("#/definitions/")
    return {**schema, **SCHEMA["definitions"][name]} if name else schema


def nodes(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every place of the schema; `[]` is any item of a list."""
    schema = resolved(schema)
    yield path, schema
    for name, inner in schema.get("properties", {}).items():
        yield from nodes(inner, f"{path}.{name}")
    if "items" in schema:
        yield from nodes(schema["items"], f"{path}[]")


def objects(schema: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    return (each for each in nodes(schema) if each[1].get("type") == "object")


def leaves(values: dict[str, Any], path: str = "") -> Iterator[str]:
    for name, value in values.items():
        if isinstance(value, dict) and f"{path}.{name}" not in PASSED_THROUGH:
            yield from leaves(value, f"{path}.{name}")
        else:
            yield f"{path}.{name}"


def value_at(path: str) -> Any:
    found: Any = VALUES
    for name in path[1:].split("."):
        found = found[name]
    return found


def test_the_schema_is_closed() -> None:
    is_open = {path for path, schema in objects(SCHEMA) if schema.get("additionalProperties") is not False}
    assert is_open == PASSED_THROUGH | LISTS_PASSED_THROUGH


def test_the_schema_says_of_every_value_what_it_is() -> None:
    silent = {path for path, schema in nodes(SCHEMA) if path and path[-1] != "]" and not schema.get("description")}
    assert silent == set()


def test_every_number_list_and_name_has_a_bound() -> None:
    """A list of a pod's parts has the bounds of the API server."""
    of_a_pod = {".tolerations", ".topologySpreadConstraints", ".imagePullSecrets"}
    places = [(path, schema) for path, schema in nodes(SCHEMA) if path not in of_a_pod]
    numbers = {path for path, schema in places if schema.get("type") in ("integer", "number")}
    assert numbers
    assert {path for path, schema in places if path in numbers and not {"minimum", "maximum"} <= set(schema)} == set()
    lists = {path for path, schema in places if schema.get("type") == "array" and "maxItems" not in schema}
    assert lists == set()


def test_the_schema_and_the_defaults_know_the_same_values() -> None:
    known = {f".{name}" for name in SCHEMA["properties"]} - {".global"}
    assert known == {f".{name}" for name in VALUES}
    for path, schema in objects(SCHEMA):
        if path and "[]" not in path and path not in PASSED_THROUGH:
            assert set(schema["properties"]) == set(value_at(path)), path


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
            "KIPU_WATCH_NAMESPACES": ",".join(VALUES["watchNamespaces"]),
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


def test_as_many_namespaces_as_the_operator_takes_and_no_more() -> None:
    assert SCHEMA["properties"]["watchNamespaces"]["maxItems"] == NAMESPACES_MAX


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

"""The rule by which the layers of a pod template are merged, and the durations of people."""

from __future__ import annotations

import copy
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kipu.api.durations import DURATION_MAX_MS, for_people, timestamp, to_ms
from kipu.api.passthrough import join, merge
from kipu.api.pods import literal, main_container, pod_template

CASES: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = {
    "objects are merged key by key": (
        {"nodeSelector": {"disk": "ssd", "zone": "a"}},
        {"nodeSelector": {"zone": "b"}},
        {"nodeSelector": {"disk": "ssd", "zone": "b"}},
    ),
    "null removes": ({"a": 1, "b": {"c": 2, "d": 3}}, {"a": None, "b": {"c": None}}, {"b": {"d": 3}}),
    "null removes nothing that is not there": ({}, {"a": None, "b": {"c": None}}, {"b": {}}),
    "a list is replaced": ({"tolerations": [1, 2]}, {"tolerations": [3]}, {"tolerations": [3]}),
    "a value takes the place of an object": ({"a": {"b": 1}}, {"a": 2}, {"a": 2}),
    "an object takes the place of a value": ({"a": 2}, {"a": {"b": 1}}, {"a": {"b": 1}}),
    "containers are merged by name, in their places": (
        {"containers": [{"name": "side", "image": "s"}, {"name": "main", "image": "m", "tty": True}]},
        {"containers": [{"name": "new"}, {"name": "main", "image": "n"}]},
        {"containers": [{"name": "side", "image": "s"}, {"name": "main", "image": "n", "tty": True}, {"name": "new"}]},
    ),
    "a variable is replaced whole: value and valueFrom exclude each other": (
        {"env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]},
        {"env": [{"name": "A", "valueFrom": {}}]},
        {"env": [{"name": "A", "valueFrom": {}}, {"name": "B", "value": "2"}]},
    ),
    "a volume is replaced whole: its sources exclude each other": (
        {"volumes": [{"name": "v", "emptyDir": {}}]},
        {"volumes": [{"name": "v", "secret": {"secretName": "s"}}]},
        {"volumes": [{"name": "v", "secret": {"secretName": "s"}}]},
    ),
    "a mount goes by its path": (
        {"volumeMounts": [{"name": "v", "mountPath": "/a"}, {"name": "v", "mountPath": "/b"}]},
        {"volumeMounts": [{"name": "w", "mountPath": "/b"}]},
        {"volumeMounts": [{"name": "v", "mountPath": "/a"}, {"name": "w", "mountPath": "/b"}]},
    ),
    "an entry twice stays twice, for the API server to refuse": (
        {"containers": [{"name": "a", "image": "1"}]},
        {"containers": [{"name": "a", "image": "2"}, {"name": "a", "image": "3"}]},
        {"containers": [{"name": "a", "image": "2"}, {"name": "a", "image": "3"}]},
    ),
    "entries without a name follow": (
        {"env": [{"value": "1"}, 7]},
        {"env": [{"value": "2"}, None]},
        {"env": [{"value": "1"}, 7, {"value": "2"}, None]},
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_merging(case: str) -> None:
    base, over, merged = CASES[case]
    before = copy.deepcopy((base, over))
    assert merge(base, over) == merged
    assert (base, over) == before


def test_the_layers_come_in_their_order() -> None:
    def layer(image: str | None, **fields: Any) -> dict[str, Any]:
        return {"spec": {"containers": [{"name": "main", **({"image": image} if image else {}), **fields}]}}

    defaults = {"template": layer("default template", tty=True), "image": "default image"}
    only = main_container(pod_template({"template": layer("default template")}, {}))
    assert only["image"] == "default template"
    assert main_container(pod_template(defaults, {}))["image"] == "default image"
    assert main_container(pod_template(defaults, {"template": layer("template")}))["image"] == "template"
    own = {"template": layer("template"), "container": {"image": "own"}}
    assert main_container(pod_template(defaults, own)) == {"name": "main", "tty": True, "image": "own"}


def test_a_script_takes_the_place_of_a_default_command_with_its_arguments() -> None:
    shared = {"spec": {"containers": [{"name": "main", "command": ["c"], "args": ["a"]}]}}
    template = pod_template({"template": shared, "image": "i"}, {"script": "echo hi"})
    assert main_container(template) == {"name": "main", "image": "i", "command": ["/bin/sh", "-e", "-c", "echo hi"]}


def kubelet_expands(text: str, variables: dict[str, str]) -> str:
    """k8s.io/kubernetes/third_party/forked/golang/expansion, by its rules."""
    tokens = re.findall(r"\$\$|\$\([^)]*\)|.", text, re.DOTALL)
    return "".join("$" if t == "$$" else variables.get(t[2:-1], t) if t.startswith("$(") else t for t in tokens)


@given(st.text("$()aA \n"))
def test_a_script_reaches_the_shell_as_it_was_written(script: str) -> None:
    assert kubelet_expands(literal(script), {"a": "1", "A": "2", "": "3"}) == script


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [("90s", 90_000), ("1h30m", 5_400_000), ("500ms", 500), ("1m1ms", 60_001), ("1s500ms", 1_500), ("0s", 0)],
)
def test_a_duration_is_whole_milliseconds(text: str, milliseconds: int) -> None:
    assert to_ms(text) == milliseconds


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [
        (0, "0s"),
        (999, "0s"),
        (42_999, "42s"),
        (60_000, "1m"),
        (133_000, "2m13s"),
        (3_605_000, "1h"),
        (3_900_000, "1h5m"),
        (86_400_000 + 59 * 60_000, "1d"),
        (86_400_000 + 3_600_000, "1d1h"),
        (DURATION_MAX_MS, "365d"),
        (-1, "0s"),
    ],
)
def test_people_read_its_two_largest_units(milliseconds: int, text: str) -> None:
    assert for_people(milliseconds) == text


def test_a_timestamp_is_cut_to_the_second() -> None:
    assert timestamp(1_700_000_000_999) == "2023-11-14T22:13:20Z"
    assert timestamp(0) == "1970-01-01T00:00:00Z"
    assert timestamp(None) is None


@pytest.mark.parametrize(
    ("part", "path"),
    [("a", "p.a"), ("a-b", "p.a-b"), (3, "p[3]"), ("a/b", "p[a/b]"), ("", "p[]"), ("\ud800\n", "p[??]")],
)
def test_a_path_is_written_as_kubectl_does(part: str | int, path: str) -> None:
    assert join("p", part) == path

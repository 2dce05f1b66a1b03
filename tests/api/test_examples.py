"""The examples: each is sound, says what it shows and how it ends, and asks for no privilege."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from kipu.api import cron
from kipu.api.definition import parse
from kipu.api.pods import main_container, pod_template
from kipu.api.reuse import resolve
from kipu.core.definition import Definition

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.yaml"))


def specs(manifests: list[dict[str, Any]]) -> list[Definition]:
    """What its Workflows are asked to do. Raises UserError."""
    match [manifest["kind"] for manifest in manifests]:
        case ["CronWorkflow"]:
            (asked,) = manifests
            return [parse(cron.parse(asked["metadata"]["name"], asked["spec"]).template["spec"])]
        case ["WorkflowTemplate", "Workflow"]:
            template, workflow = manifests
            if "templateRef" in workflow["spec"]:
                return [resolve(workflow["spec"], template["spec"])]
            nested = {"templateRef": {"name": "sub-workflow"}, "params": [{"name": "region", "value": "eu"}]}
            return [parse(workflow["spec"]), resolve(nested, template["spec"])]
    (whole,) = manifests
    return [parse(whole["spec"])]


def test_there_are_the_examples_that_the_readme_names() -> None:
    assert {"hello", "diamond", "retry", "skip-on-failure", "cancel-me", "timeout"} <= {path.stem for path in EXAMPLES}


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_is_sound_and_explained(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    manifests = list(yaml.safe_load_all(text))
    specs(manifests)
    assert {manifest["metadata"]["name"] for manifest in manifests} == {path.stem}
    header = text.partition("apiVersion:")[0]
    assert "# Shows: " in header
    assert "# Ends: " in header


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_asks_for_no_privilege(path: Path) -> None:
    definitions = specs(list(yaml.safe_load_all(path.read_text(encoding="utf-8"))))
    for definition, step in ((each, step) for each in definitions for step in each.steps):
        template: Any = pod_template(definition.pod_defaults, step.pod)
        pod, main = template["spec"]["securityContext"], main_container(template)
        assert pod["runAsNonRoot"] is True
        assert pod["runAsUser"] > 0
        assert pod["seccompProfile"] == {"type": "RuntimeDefault"}
        assert main["securityContext"] == {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}

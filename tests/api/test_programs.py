"""What a step runs without a cluster: the same environment and arguments as on one, or a refusal with its place."""

from __future__ import annotations

from typing import Any

import pytest

from kipu.api import jobs
from kipu.api.definition import parse
from kipu.api.programs import GRACE_SECONDS, Program, problems, program
from kipu.core.definition import Definition


def parsed(step: dict[str, Any], defaults: dict[str, Any]) -> Definition:
    return parse({"defaults": {"image": "busybox"} | defaults, "steps": [{"name": "a"} | step]})


def programmed(step: dict[str, Any], **defaults: Any) -> Program:
    definition = parsed(step, defaults)
    assert list(problems(definition)) == []
    attempt = jobs.AttemptRef(
        namespace="local",
        workflow_name="nightly",
        workflow_uid="u",
        run=1,
        step="a",
        attempt=2,
        job_name="nightly-a-1",
        intent="1:ab",
    )
    return program(jobs.job_manifest(definition, definition.steps[0], attempt))


def refused(step: dict[str, Any], **defaults: Any) -> list[str]:
    definition = parsed(step, defaults)
    return [str(problem) for problem in problems(definition)]


@pytest.mark.parametrize("script", ["echo $HOME", "echo $(date) $$", "x='$(NAME)' $$$ $$(", "$(KIPU_STEP)", "a\nb\n"])
def test_a_script_reaches_the_shell_as_it_was_written(script: str) -> None:
    assert programmed({"script": script}).arguments == ("/bin/sh", "-e", "-c", script)


def test_a_program_has_the_environment_of_a_pod() -> None:
    env = [{"name": "STEP", "value": "<$(KIPU_STEP)>"}, {"name": "NEXT", "value": "$(STEP) $(LATER) $$(STEP)"}]
    found = programmed({"command": ["run", "$(STEP)"], "args": ["$(NEXT)", "$(HOME)", "$(KIPU_ATTEMPT)"], "env": env})
    assert found.environment["KIPU_STEP"] == "a"
    assert found.environment["KIPU_ATTEMPT"] == "2"
    assert "KIPU_NAMESPACE" not in found.environment  # it is not named
    assert found.environment["STEP"] == "<a>"
    assert found.environment["NEXT"] == "<a> $(LATER) $(STEP)"
    assert found.arguments == ("run", "<a>", "<a> $(LATER) $(STEP)", "$(HOME)", "2")


def test_a_variable_without_a_value_is_empty() -> None:
    assert programmed({"script": "true", "env": [{"name": "NOTHING"}]}).environment["NOTHING"] == ""


def test_where_and_how_long_are_taken_from_the_pod() -> None:
    assert programmed({"script": "true"}) == programmed({"script": "true"})
    assert programmed({"script": "true"}).folder is None
    assert programmed({"script": "true"}).grace_seconds == GRACE_SECONDS
    template = {"spec": {"terminationGracePeriodSeconds": 5}}
    found = programmed({"script": "true", "workingDir": "data", "template": template})
    assert (found.folder, found.grace_seconds) == ("data", 5)


def test_what_only_says_where_a_pod_may_run_is_left_aside() -> None:
    spec = {
        "serviceAccountName": "etl",
        "nodeSelector": {"disk": "fast"},
        "securityContext": {"runAsNonRoot": True},
        "containers": [{"name": "main", "securityContext": {}, "resources": {"limits": {"cpu": "1"}}}],
    }
    assert refused({"script": "true", "template": {"spec": spec}}) == []


@pytest.mark.parametrize(
    ("step", "reason"),
    [
        ({"image": "busybox"}, "runs what its image begins with"),
        ({"args": ["x"]}, "runs what its image begins with"),
        ({"script": "true", "volumeMounts": [{"name": "data", "mountPath": "/data"}]}, "has volumeMounts"),
        (
            {"script": "true", "env": [{"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "t", "key": "k"}}}]},
            "takes the variable TOKEN from the cluster",
        ),
        (
            {"script": "true", "template": {"spec": {"initContainers": [{"name": "first", "image": "x"}]}}},
            "has more containers than 'main' (first)",
        ),
        (
            {"script": "true", "template": {"spec": {"containers": [{"name": "side", "image": "x"}]}}},
            "has more containers than 'main' (side)",
        ),
        (
            {"template": {"spec": {"containers": [{"name": "main", "command": ["x"], "envFrom": [{}]}]}}},
            "has envFrom",
        ),
        ({"script": "true", "job": {"completions": 2}}, "is a Job of several pods"),
    ],
)
def test_what_only_a_cluster_can_give_is_refused_with_its_place(step: dict[str, Any], reason: str) -> None:
    (found,) = refused(step)
    assert found.startswith("spec.steps[0]")
    assert f"step 'a' {reason}" in found


def test_steps_of_finally_have_their_own_place_and_what_runs_nothing_needs_no_program() -> None:
    spec = {
        "defaults": {"image": "busybox"},
        "steps": [
            {"name": "ask", "approval": {"message": "go on"}},
            {"name": "rest", "wait": {"duration": "1s"}},
            {"name": "train", "workflow": {"templateRef": {"name": "train"}}},
        ],
        "finally": [{"name": "fine", "script": "true"}, {"name": "odd", "image": "busybox"}],
    }
    nested, found = problems(parse(spec))
    assert str(nested) == (
        "spec.steps[2].workflow: step 'train' is a Workflow of its own, which takes a cluster to create "
        "(run this workflow on a cluster)"
    )
    assert found.path == "spec.finally[1]"

"""`kipu submit`: Workflows created out of files and of templates, or refused before anything is sent."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from kipu.core.errors import Problem
from tests.api.specs import spec, step
from tests.cli import histories
from tests.cli.api_server import ApiServer
from tests.cli.stored import AT, Operator, flow_of, put, stored
from tests.cli.terminal import Outcome, Terminal
from tests.core.given import SECOND
from tests.fakes.refusals import denied

TEMPLATES = AT.replace("workflows", "workflowtemplates")
SPEC = spec(step("a"), params=[{"name": "date", "value": "2026-11-23"}, {"name": "shards", "value": 4}])
ETL = spec(step("load"), params=[{"name": "date"}, {"name": "shards", "type": "Int", "default": 4}])


def manifest(kind: str = "Workflow", name: str = "nightly", /, **fields: Any) -> dict[str, Any]:
    return {"apiVersion": "kipu.dev/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": SPEC, **fields}


def submit(terminal: Terminal, manifests: dict[str, Any] | list[dict[str, Any]], *arguments: str) -> Outcome:
    given = manifests if isinstance(manifests, list) else [manifests]
    return terminal.kipu("submit", "-", *arguments, stdin=yaml.safe_dump_all(given).encode())


def offer(server: ApiServer, given: dict[str, Any] = ETL, name: str = "etl") -> None:
    server.objects[f"{TEMPLATES}/{name}"] = manifest("WorkflowTemplate", name, spec=given)


def writes(server: ApiServer) -> list[str]:
    return [verb for verb, _, _ in server.writes.seen]


# -- out of files ------------------------------------------------------------------------------------------


def test_the_workflow_of_a_file_is_created_as_it_stands(terminal: Terminal, server: ApiServer, here: Path) -> None:
    (here / "nightly.yaml").write_text(yaml.safe_dump(manifest()))
    assert terminal.kipu("submit", "nightly.yaml") == (0, "workflow.kipu.dev/nightly created\n", "")
    created = server.objects[f"{AT}/nightly"]
    assert (created["spec"], created["metadata"]["namespace"]) == (SPEC, "default")
    assert server.writes.seen[0][2] == {"fieldValidation": "Strict"}


def test_it_may_have_another_name_namespace_and_params(terminal: Terminal, server: ApiServer) -> None:
    outcome = submit(
        terminal, manifest(), "--name", "mine", "-n", "etl", "--param", "date=2026-11-24", "--param", "shards=5"
    )
    assert outcome.out == "workflow.kipu.dev/mine created\n"
    created = server.objects["/apis/kipu.dev/v1alpha1/namespaces/etl/workflows/mine"]
    assert created["spec"]["params"] == [{"name": "date", "value": "2026-11-24"}, {"name": "shards", "value": 5}]


def test_the_api_server_makes_a_name_of_a_prefix(terminal: Terminal, server: ApiServer) -> None:
    assert submit(terminal, manifest(), "--generate-name", "try-", "-o", "name").out == "workflow.kipu.dev/try-00001\n"
    assert f"{AT}/try-00001" in server.objects


def test_every_workflow_of_a_list_is_created_and_what_else_there_is_left_alone(
    terminal: Terminal, server: ApiServer
) -> None:
    many = {"kind": "List", "apiVersion": "v1", "items": [manifest(), manifest("Workflow", "hourly")]}
    other = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}}
    outcome = submit(terminal, [many, other, manifest("WorkflowTemplate", "etl", spec=ETL)])
    assert outcome.out == "workflow.kipu.dev/nightly created\nworkflow.kipu.dev/hourly created\n"
    assert outcome.err == (
        "kipu: not submitted, since only Workflows are: ConfigMap 'x', WorkflowTemplate 'etl' (kubectl apply -f)\n"
    )
    assert sorted(server.objects) == [f"{AT}/hourly", f"{AT}/nightly"]


def test_nothing_is_created_while_anything_is_wrong(terminal: Terminal, server: ApiServer) -> None:
    wrong = manifest("Workflow", "load", spec=spec(step("a"), step("b", dependsOn=["aa"])))
    outcome = submit(terminal, [manifest(), wrong])
    assert (outcome.code, outcome.out, server.objects) == (1, "", {})
    assert "Workflow/load: spec.steps[1].dependsOn[0]: there is no step 'aa' (did you mean 'a'?)" in outcome.err
    assert outcome.err.endswith("kipu: 1 fault: nothing was created\n")


def test_a_file_that_cannot_be_read_is_a_fault(terminal: Terminal, server: ApiServer) -> None:
    outcome = terminal.kipu("submit", "-", stdin=b"{")
    assert outcome.code == 1
    assert outcome.err.endswith("kipu: 1 fault: nothing was created\n")


def test_a_param_that_is_not_there_is_answered_by_the_nearest(terminal: Terminal, server: ApiServer) -> None:
    outcome = submit(terminal, manifest(), "--param", "dat=x")
    assert outcome == (1, "", "kipu: --param dat: there is no param of this name (did you mean 'date'?)\n")


def test_a_name_that_is_taken_is_refused_with_what_to_do(terminal: Terminal, server: ApiServer) -> None:
    put(server, stored(SPEC))
    outcome = submit(terminal, manifest())
    assert outcome.code == 1
    assert outcome.err == (
        "kipu: there is a Workflow 'nightly' in namespace 'default': choose another name (--name, --generate-name), or "
        "be rid of it first ('kipu purge nightly')\n"
    )


def test_a_refusal_of_a_policy_is_told_in_its_own_words(terminal: Terminal, server: ApiServer) -> None:
    why = "a Workflow runs as Jobs, and mallory may not create jobs.batch"
    server.writes.refusals["POST"] = denied("workflows.kipu.dev", "nightly", "kipu-jobs", why, reason="Forbidden")
    assert submit(terminal, manifest()) == (1, "", f"kipu: could not create Workflow 'nightly': {why}\n")


def test_what_was_created_before_a_refusal_is_told(terminal: Terminal, server: ApiServer) -> None:
    put(server, stored(SPEC, name="second"))
    outcome = submit(terminal, [manifest("Workflow", name) for name in ("first", "second", "third")])
    assert (outcome.code, outcome.out) == (1, "workflow.kipu.dev/first created\n")
    assert outcome.err.startswith("kipu: 2 of 3 were not created\n")
    assert f"{AT}/third" not in server.objects


# -- with a template ---------------------------------------------------------------------------------------

NAMES_ETL = manifest(spec={"templateRef": {"name": "etl"}})


def test_a_workflow_is_judged_with_the_template_of_the_cluster(terminal: Terminal, server: ApiServer) -> None:
    offer(server)
    beside = manifest("WorkflowTemplate", "etl", spec=spec(step("load")))  # another one, which is not there yet
    outcome = submit(terminal, [NAMES_ETL, beside])
    assert (outcome.code, writes(server)) == (1, [])
    assert "spec.params: lacks 'date', for which the template has no default" in outcome.err
    assert submit(terminal, [NAMES_ETL, beside], "--param", "date=x", "--param", "shards=16").code == 0
    assert server.objects[f"{AT}/nightly"]["spec"]["params"] == [
        {"name": "date", "value": "x"},
        {"name": "shards", "value": 16},
    ]


def test_a_template_that_is_not_there_is_a_fault(terminal: Terminal, server: ApiServer) -> None:
    offer(server, name="elt")
    assert "there is no template 'etl' here (did you mean 'elt'?)" in submit(terminal, NAMES_ETL).err
    beside = manifest("WorkflowTemplate", "etl", spec=ETL)
    assert "it is in these files: apply it first" in submit(terminal, [NAMES_ETL, beside]).err
    assert writes(server) == []


def test_a_template_that_would_be_another_path_is_a_fault(terminal: Terminal, server: ApiServer) -> None:
    server.objects[f"{AT}/x"] = manifest("WorkflowTemplate", "x", spec=spec(step("a")))
    outcome = submit(terminal, manifest(spec={"templateRef": {"name": "../workflows/x"}}))
    assert outcome.code == 1
    assert "Workflow/nightly: spec.templateRef.name" in outcome.err


def test_a_workflow_is_made_of_a_template(terminal: Terminal, server: ApiServer) -> None:
    offer(server)
    outcome = terminal.kipu("submit", "--from-template", "etl", "--param", "date=2026-11-23", "--param", "shards=2")
    assert outcome == (0, "workflow.kipu.dev/etl-00001 created\n", "")
    assert server.objects[f"{AT}/etl-00001"]["spec"] == {
        "templateRef": {"name": "etl"},
        "params": [{"name": "date", "value": "2026-11-23"}, {"name": "shards", "value": 2}],
    }
    assert terminal.kipu("submit", "--from-template", "etl", "--param", "date=x", "--name", "mine").code == 0
    assert "generateName" not in server.objects[f"{AT}/mine"]["metadata"]


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["etk"], "there is no WorkflowTemplate 'etk' in namespace 'default'; did you mean 'etl'?"),
        (["etl"], "spec.params: lacks 'date', for which the template has no default"),
        (["etl", "--param", "dat=x"], "--param dat: there is no param of this name (did you mean 'date'?)"),
        (
            ["etl", "--param", "date=x", "--param", "shards=many"],
            "--param shards: must be a whole number, as JSON (the file says of which type it is)",
        ),
    ],
)
def test_what_a_template_does_not_take_is_refused(
    terminal: Terminal, server: ApiServer, arguments: list[str], why: str
) -> None:
    offer(server)
    assert terminal.kipu("submit", "--from-template", *arguments) == (1, "", f"kipu: {why}\n")
    assert writes(server) == []


# -- dry runs and what is printed --------------------------------------------------------------------------


def test_a_dry_run_of_the_client_needs_no_cluster(terminal: Terminal) -> None:
    beside = manifest("WorkflowTemplate", "etl", spec=ETL)
    outcome = submit(terminal, [NAMES_ETL, beside], "--dry-run", "client", "--param", "date=x", "--kubeconfig", "none")
    assert (outcome.code, outcome.out) == (0, "workflow.kipu.dev/nightly created (client dry run)\n")
    shown = submit(terminal, manifest(), "--dry-run", "client", "-o", "yaml", "-n", "etl").out
    assert yaml.safe_load(shown) == manifest(metadata={"name": "nightly", "namespace": "etl"})


def test_a_dry_run_of_the_server_keeps_nothing(terminal: Terminal, server: ApiServer) -> None:
    outcome = submit(terminal, manifest(), "--dry-run", "server")
    assert (outcome.out, server.objects) == ("workflow.kipu.dev/nightly created (server dry run)\n", {})
    assert server.writes.seen[0][2]["dryRun"] == "All"


def test_what_was_created_is_printed_for_programs(terminal: Terminal, server: ApiServer) -> None:
    assert json.loads(submit(terminal, manifest(), "-o", "json").out)["metadata"]["uid"] == "made-1"
    two = submit(terminal, [manifest("Workflow", name) for name in "ab"], "-o", "json").out
    assert [item["metadata"]["name"] for item in json.loads(two)["items"]] == ["a", "b"]
    assert [each["kind"] for each in yaml.safe_load_all(submit(terminal, manifest("Workflow", "c"), "-o", "yaml").out)]


# -- to the end --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("ends", "code"), [("succeed", 0), ("fail", 1)])
def test_it_is_followed_until_its_end(terminal: Terminal, server: ApiServer, ends: str, code: int) -> None:
    flow = flow_of(SPEC)
    operator = Operator(server, flow, uid="made-1")
    end = partial(getattr(flow, ends), "a", after=SECOND)
    server.watches = [operator.story(partial(flow.start, "a", after=SECOND), end)]
    outcome = submit(terminal, manifest(), "--watch")
    assert outcome.code == code
    lines = outcome.out.splitlines()
    assert lines[0] == "workflow.kipu.dev/nightly created"
    assert lines[1].startswith("nightly  Pending")  # nobody has taken it up yet
    assert [line.split()[1:3] for line in lines[2:4]] == [["a/1", "runs"], ["a/1", "failed:" if code else "succeeded"]]
    assert lines[-1].split()[1:3] == ["workflow", "failed:" if code else "succeeded"]


def test_a_workflow_that_the_operator_rejects_has_not_succeeded(terminal: Terminal, server: ApiServer) -> None:
    flow = histories.rejected(Problem(path="spec.steps", reason="too deep"))
    server.watches = [Operator(server, flow, uid="made-1").story(lambda: None)]
    outcome = submit(terminal, manifest(), "--watch", "-o", "name")
    assert (outcome.code, outcome.out) == (1, "workflow.kipu.dev/nightly\n")  # alone, for programs
    assert "rejected" in outcome.err
    assert "spec.steps: too deep" in outcome.err


# -- wrong usage -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["-", "--from-template", "etl"],
        ["-", "--name", "a", "--generate-name", "b"],
        ["-", "--dry-run", "client", "--watch"],
        ["-", "--timeout", "5m"],
        ["nowhere.yaml"],
        ["-", "--param", "date"],
    ],
)
def test_wrong_usage_ends_with_two(terminal: Terminal, server: ApiServer, arguments: list[str]) -> None:
    assert terminal.kipu("submit", *arguments, stdin=yaml.safe_dump(manifest()).encode()).code == 2
    assert writes(server) == []


@pytest.mark.parametrize(
    ("manifests", "arguments", "why"),
    [
        ([manifest("WorkflowTemplate", "etl", spec=ETL)], [], "no Workflow in these files"),
        ([manifest(), manifest("Workflow", "b")], ["--name", "x"], "--name is for one Workflow, and there are 2"),
        (
            [manifest(metadata={"name": "a", "namespace": "etl"})],
            ["-n", "other"],
            "the manifest says namespace 'etl', and -n says 'other'",
        ),
        (
            [manifest(metadata={"name": "a", "namespace": "../x"})],
            [],
            "metadata.namespace: '../x' is not a name",
        ),
    ],
)
def test_what_contradicts_itself_is_not_guessed_at(
    terminal: Terminal, server: ApiServer, manifests: list[dict[str, Any]], arguments: list[str], why: str
) -> None:
    outcome = submit(terminal, manifests, *arguments)
    assert (outcome.code, writes(server)) == (2, [])
    assert why in outcome.err

"""`kipu salvage`: a new Workflow out of a file, in which nothing runs again that has succeeded and still counts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given as drawn
from hypothesis import strategies as st

from kipu.api.definition import parse, spec_hash
from kipu.cli import transcript
from kipu.cli.salvage import as_yaml
from kipu.core.commands import Accept, Claim
from kipu.core.definition import Definition
from kipu.core.errors import Problem
from kipu.core.events import StepAdopted, StepCompleted, StepScheduled, StepSucceeded
from kipu.eventlog.ports import Recorded
from tests.api.specs import spec, step
from tests.cli import exports, histories
from tests.cli.api_server import WORKFLOWS, ApiServer
from tests.cli.exports import HEAD, SPEC, exported, half_done, recorded
from tests.cli.histories import STREAM
from tests.cli.terminal import Outcome, Terminal
from tests.core.given import SECOND, Flow
from tests.core.laws import LAW

NAME = STREAM.name
ADOPTED = "kipu: adopted 2 (top, left); to run 3 (right, report, bottom)\n"


def dry(terminal: Terminal, content: bytes, *arguments: str) -> dict[str, Any]:
    """The manifest that would be created."""
    outcome = terminal.kipu("salvage", "-", "--dry-run", *arguments, stdin=content)
    assert outcome.code == 0, outcome.err
    manifest: dict[str, Any] = yaml.safe_load(outcome.out)
    return manifest


def successes(content: bytes) -> dict[str, Recorded]:
    records = transcript.verify(content.splitlines(keepends=True)).records
    return {record.event.step: record for record in records if isinstance(record.event, StepSucceeded)}


HALF = exported(half_done())


# -- what is adopted -----------------------------------------------------------------------------------------


def test_what_is_adopted_brings_its_outputs(terminal: Terminal) -> None:
    given = spec(
        step("fetch", outputs=[{"name": "rows", "type": "Int"}, {"name": "shape", "type": "Json"}]),
        step("load", dependsOn=["fetch"], when="steps.fetch.outputs.rows > 1"),
    )
    outputs: dict[str, str | int | bool] = {"rows": 42, "shape": '{"mean":2.5}'}
    flow = exports.begun(given)
    flow.tell(flow.outcome("fetch", outputs=outputs), after=SECOND)
    manifest = dry(terminal, exported(flow, given))
    assert manifest["spec"]["adopt"]["steps"][0]["outputs"] == outputs
    again = exports.begun(manifest["spec"])
    assert again.step("fetch").outputs == outputs


def test_it_is_the_same_workflow_but_for_what_it_adopts(terminal: Terminal) -> None:
    outcome = terminal.kipu("salvage", "-", "--dry-run", stdin=HALF)
    assert (outcome.code, outcome.err) == (0, ADOPTED)
    manifest = yaml.safe_load(outcome.out)
    adopt = manifest["spec"].pop("adopt")
    assert manifest == {
        "apiVersion": "kipu.dev/v1alpha1",
        "kind": "Workflow",
        "metadata": {"name": NAME, "namespace": "default"},
        "spec": {"steps": SPEC["steps"]},  # without the shutdown, which would end it at once
    }
    assert (adopt["workflowUid"], adopt["run"]) == (STREAM.uid, 1)
    proofs = successes(HALF)
    assert adopt["steps"] == [
        {"name": name, "position": proofs[name].position, "hash": proofs[name].hash} for name in ("top", "left")
    ]


def test_what_has_succeeded_after_a_step_that_runs_again_runs_again(terminal: Terminal) -> None:
    """report came after right, which had failed, and reports on how it ends now."""
    assert "report" in successes(HALF)
    assert "report" not in [entry["name"] for entry in dry(terminal, HALF)["spec"]["adopt"]["steps"]]


def test_the_core_takes_it_and_runs_only_the_rest(terminal: Terminal) -> None:
    flow = exports.begun(dry(terminal, HALF)["spec"])
    assert [event.step for event in flow.events_of(StepAdopted)] == ["top", "left"]
    for name in ("right", "report", "bottom"):
        flow.succeed(name, after=SECOND)
    assert flow.end == ("Succeeded", "Completed")
    assert [event.step for event in flow.events_of(StepScheduled)] == ["right", "report", "bottom"]


def test_what_was_adopted_once_is_adopted_again(terminal: Terminal) -> None:
    given = dry(terminal, HALF)["spec"]
    flow = exports.begun(given)
    flow.succeed("right", after=SECOND)
    adopt = dry(terminal, exported(flow, given))["spec"]["adopt"]
    assert [entry["name"] for entry in adopt["steps"]] == ["top", "left", "right"]
    adopted_at = [type(event).__name__ for event, _ in flow.log].index("StepAdopted") + 1
    assert adopt["steps"][0]["position"] == adopted_at


@pytest.mark.proof
def test_a_run_that_has_ended_well_is_adopted_whole(terminal: Terminal) -> None:
    given, wide = exports.wide()
    outcome = terminal.kipu("salvage", "-", "--dry-run", stdin=exported(wide, given))
    assert outcome.err.endswith("; to run none\n")
    assert len(yaml.safe_load(outcome.out)["spec"]["adopt"]["steps"]) == 60


def test_where_nothing_has_succeeded_nothing_is_adopted(terminal: Terminal) -> None:
    content = exported(exports.begun())
    outcome = terminal.kipu("salvage", "-", "--dry-run", stdin=content)
    assert "adopt" not in yaml.safe_load(outcome.out)["spec"]
    assert outcome.err == "kipu: adopted none; to run 5 (top, left, right, report, bottom)\n"


@pytest.mark.parametrize(
    "then",
    [
        spec(step("a", command=["false"]), step("b", dependsOn=["a"])),
        spec(step("a"), step("b", dependsOn=["a"]), defaults={"template": {"spec": {"serviceAccountName": "x"}}}),
    ],
    ids=["the step", "the defaults"],
)
def test_a_step_that_another_release_took_up_in_another_way_runs_again(
    terminal: Terminal, then: dict[str, Any]
) -> None:
    now = spec(step("a"), step("b", dependsOn=["a"]))
    flow = exports.begun(then)
    flow.succeed("a")
    assert "adopt" not in dry(terminal, exported(flow, now, spec_hash(now)))["spec"]


def test_what_a_template_has_said_is_taken_to_be_what_it_says(terminal: Terminal) -> None:
    named = {"templateRef": {"name": "etl"}}
    flow = Flow(None)
    flow.tell(Claim(writer="kipu-0"), Accept(spec_hash=spec_hash(named), definition=parse(SPEC)))
    flow.succeed("top")
    manifest = dry(terminal, exported(flow, named))
    assert manifest["spec"]["templateRef"] == {"name": "etl"}
    assert [each["name"] for each in manifest["spec"]["adopt"]["steps"]] == ["top"]


# -- files that it does not take -----------------------------------------------------------------------------


def test_a_changed_file_is_not_salvaged(terminal: Terminal) -> None:
    outcome = terminal.kipu("salvage", "-", "--dry-run", stdin=HALF.replace(b'"step":"left"', b'"step":"lift"'))
    assert (outcome.code, outcome.out) == (1, "")


def test_a_history_without_a_spec_says_which_command_writes_one(terminal: Terminal) -> None:
    outcome = terminal.kipu("salvage", "-", stdin=exported(half_done(), None, spec_hash(SPEC)))
    assert outcome.code == 2
    assert "only 'kipu export' writes it" in outcome.err


def test_what_was_never_accepted_has_nothing_to_go_on_with(terminal: Terminal) -> None:
    flow = histories.rejected(Problem(path="spec", reason="wrong"))
    outcome = terminal.kipu("salvage", "-", stdin=exported(flow, spec()))
    assert outcome == (2, "", "kipu: Workflow 'nightly' was never accepted: there is nothing to go on with\n")


def test_a_spec_that_this_release_does_not_take_is_answered_with_its_problems(terminal: Terminal) -> None:
    flow = exports.begun()
    outcome = terminal.kipu("salvage", "-", stdin=exported(flow, {"steps": []}))
    assert outcome == (
        2,
        "",
        "kipu: this release would not accept the file's spec: spec.steps: must not be empty\n",
    )


def test_a_partial_file_is_salvaged_and_said_to_be_one(terminal: Terminal) -> None:
    content = exported(half_done(), partial=transcript.Partial(why="gone", of=99))
    outcome = terminal.kipu("salvage", "-", "--dry-run", stdin=content)
    assert outcome.code == 0
    assert outcome.err == f"kipu: partial: verified up to position {len(content.splitlines()) - 1} of 99\n{ADOPTED}"


# -- creating it ---------------------------------------------------------------------------------------------

AT = WORKFLOWS.format("default")
GUARD = "or use --force\n"


def salvaged(terminal: Terminal, *arguments: str) -> Outcome:
    return terminal.kipu("salvage", "-", *arguments, stdin=HALF)


def add_pod(server: ApiServer, phase: str) -> None:
    path = "/api/v1/namespaces/default/pods/nightly-bottom-x"
    labels = {"kipu.dev/workflow-uid": STREAM.uid}
    server.objects[path] = {"metadata": {"name": "nightly-bottom-x", "labels": labels}, "status": {"phase": phase}}


def test_the_workflow_is_created_where_the_old_one_was(terminal: Terminal, server: ApiServer) -> None:
    assert salvaged(terminal) == (0, "workflow.kipu.dev/nightly created\n", ADOPTED)
    assert f"{AT}/nightly" in server.objects
    assert server.writes.sent == [dry(terminal, HALF)]


def test_name_and_namespace_can_be_given(terminal: Terminal, server: ApiServer) -> None:
    assert salvaged(terminal, "--name", "new", "-n", "team-a").out == "workflow.kipu.dev/new created\n"
    assert f"{WORKFLOWS.format('team-a')}/new" in server.objects
    (created,) = server.writes.sent
    assert created["metadata"] == {"name": "new", "namespace": "team-a"}


@pytest.mark.parametrize("condition", ["Stalled", "Finished"])
def test_beside_an_old_workflow_that_stands_still_it_needs_another_name(
    terminal: Terminal, server: ApiServer, condition: str
) -> None:
    recorded(server, half_done(), condition=condition)
    outcome = salvaged(terminal)
    why = "there is a Workflow 'nightly' in namespace 'default': delete it, or choose another name by --name"
    assert outcome == (2, "", f"kipu: {why}\n")
    assert salvaged(terminal, "--name", "new").code == 0


def test_beside_an_old_workflow_that_still_runs_nothing_is_created(terminal: Terminal, server: ApiServer) -> None:
    recorded(server, half_done())
    outcome = salvaged(terminal, "--name", "new")
    assert outcome.code == 2
    assert "Workflow 'nightly' still runs" in outcome.err
    assert outcome.err.endswith(GUARD)
    assert f"{AT}/new" not in server.objects
    assert salvaged(terminal, "--name", "new", "--force").code == 0


def test_a_namesake_of_the_old_workflow_may_run(terminal: Terminal, server: ApiServer) -> None:
    recorded(server, half_done())
    server.objects[f"{AT}/nightly"]["metadata"]["uid"] = "another"
    assert salvaged(terminal, "--name", "new").code == 0


@pytest.mark.parametrize(("phase", "code"), [("Pending", 2), ("Running", 2), ("Succeeded", 0), ("Failed", 0)])
def test_while_a_pod_of_the_old_workflow_has_not_ended_nothing_is_created(
    terminal: Terminal, server: ApiServer, phase: str, code: int
) -> None:
    add_pod(server, phase)
    outcome = salvaged(terminal)
    assert outcome.code == code
    if code:
        assert "pods of the old Workflow have not ended: nightly-bottom-x" in outcome.err
        assert "kubectl delete kw nightly -n default --cascade=foreground" in outcome.err
        assert outcome.err.endswith(GUARD)
        assert salvaged(terminal, "--force").code == 0


def test_a_refusal_is_told_in_the_servers_words(terminal: Terminal, server: ApiServer) -> None:
    server.refusals[AT] = (403, 'User "me" cannot do that')
    assert salvaged(terminal).err == (
        "kipu: no right to see whether Workflow 'nightly' still runs: User \"me\" cannot do that\n"
    )
    assert salvaged(terminal, "--force").err == (
        "kipu: no right to create Workflow 'nightly': User \"me\" cannot do that\n"
    )


def test_a_lost_log_is_salvaged_from_the_file_of_before(terminal: Terminal, server: ApiServer, tmp_path: Path) -> None:
    recorded(server, half_done(), condition="Stalled")
    file = tmp_path / "nightly.jsonl"
    assert terminal.kipu("export", NAME, "--output", str(file)).code == 0
    del server.objects[HEAD]
    outcome = terminal.kipu("salvage", str(file), "--name", "again")
    assert (outcome.code, outcome.err) == (0, ADOPTED)
    created = server.objects[f"{AT}/again"]
    assert parse(created["spec"]).adopt is not None


# -- as YAML -------------------------------------------------------------------------------------------------


def test_a_script_can_be_read_and_a_number_in_quotes_stays_text() -> None:
    given = {"script": "set -e\necho done\n", "args": ["1e3", "0o7", "y", "No", "on", "~", "x: y", "plain words"]}
    assert as_yaml(given).splitlines() == [
        "script: |",
        "  set -e",
        "  echo done",
        "args:",
        '- "1e3"',
        '- "0o7"',
        '- "y"',
        "- 'No'",
        "- 'on'",
        '- "~"',
        "- 'x: y'",
        "- plain words",
    ]


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.proof
@LAW
@drawn(st.dictionaries(TEXT, JSON, max_size=3))
def test_whatever_a_spec_holds_is_read_as_it_was(given: dict[str, Any]) -> None:
    assert yaml.safe_load(as_yaml(given)) == given


def test_the_definition_is_that_of_the_file() -> None:
    verdict = transcript.verify(HALF.splitlines(keepends=True))
    assert isinstance(verdict.state.definition, Definition)
    assert verdict.enclosed.spec is not None
    assert parse(verdict.enclosed.spec) == verdict.state.definition


def test_a_fan_out_is_adopted_as_a_whole_once_all_its_items_are_over(terminal: Terminal) -> None:
    given = spec(step("shard", forEach={"count": 2}), step("part", forEach={"count": 2}), step("after"))
    flow = Flow(parse(given))
    flow.succeed("shard[0]", "shard[1]", "part[0]", after=SECOND)
    content = exported(flow, given)
    adopt = dry(terminal, content)["spec"]["adopt"]
    assert [entry["name"] for entry in adopt["steps"]] == ["shard"]
    records = transcript.verify(content.splitlines(keepends=True)).records
    event = records[adopt["steps"][0]["position"] - 1].event
    assert isinstance(event, StepCompleted)
    assert event.step == "shard"

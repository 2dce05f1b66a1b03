"""`kipu run` as a person meets it: what it prints, which exit code it ends with, and what it refuses."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.cli.local_terminal import ASKS, EXAMPLES, OwnThread, Process, workflow
from tests.cli.terminal import Terminal
from tests.shell.test_local_kills import assert_none_is_left

pytestmark = pytest.mark.proof

IMAGES = "kipu: images are not run: each step is a process of this machine, in {}\n"


@pytest.fixture
def terminal(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Terminal:
    return OwnThread(capsys, monkeypatch)


# -- ends ----------------------------------------------------------------------------------------------------


def test_the_diamond_of_the_readme_runs_in_a_moment(terminal: Terminal, here: Path) -> None:
    outcome = terminal.kipu("run", str(EXAMPLES / "diamond.yaml"))
    assert outcome.code == 0
    assert outcome.err == IMAGES.format(here)
    steps = [line.split()[1:] for line in outcome.out.splitlines() if line.endswith("succeeded")]
    names = [step[0] for step in steps]
    assert (names[0], names[3:]) == ("a/1", ["d/1", "workflow"])
    assert outcome.out.endswith("Succeeded: run 1, log and outputs in .kipu/diamond/1\n")


@pytest.mark.parametrize(
    ("example", "code"),
    [("hello", 0), ("retry", 0), ("skip-on-failure", 1), ("timeout", 1), ("diamond", 0), ("finally", 1)],
)
def test_every_example_that_needs_no_cluster_ends_as_it_says(
    terminal: Terminal, here: Path, example: str, code: int
) -> None:
    text = (EXAMPLES / f"{example}.yaml").read_text().replace("attemptTimeout: 3s", "attemptTimeout: 300ms")
    (here / "example.yaml").write_text(text.replace("initial: 1s", "initial: 1ms"))
    assert terminal.kipu("run", "example.yaml").code == code


def test_a_failed_attempt_is_shown_with_its_last_words_and_where_they_are(terminal: Terminal, here: Path) -> None:
    file = workflow(here, "    - {name: a, script: 'echo \"\\x1b[2Jboom\" >&2; exit 7'}\n")
    outcome = terminal.kipu("run", str(file))
    assert outcome.code == 1
    assert "a/1                   failed: exit code 7\n            | \\x1b[2Jboom\n" in outcome.out
    (log,) = here.glob(".kipu/nightly/1/attempts/*/output.log")
    assert str(log.relative_to(here)) in outcome.out


def test_the_workflows_own_timeout_is_124(terminal: Terminal, here: Path) -> None:
    file = workflow(here, "    - {name: a, script: sleep 300}\n", spec="  timeout: 200ms\n")
    assert terminal.kipu("run", str(file)).code == 124
    assert_none_is_left(here)


@pytest.mark.parametrize(
    "number",
    [signal.SIGINT, *(pytest.param(each, marks=pytest.mark.proof) for each in (signal.SIGTERM, signal.SIGHUP))],
)
def test_a_signal_cancels_and_leaves_nothing(here: Path, number: signal.Signals) -> None:
    file = workflow(here, "    - {name: a, script: sleep 300}\n    - {name: b, dependsOn: [a], script: echo never}\n")
    process = Process(here, str(file))
    process.hears("a/1                   runs")
    process.send(number)
    code, said = process.end()
    assert code == 3
    assert "cancelling; once more to kill at once" in said
    assert "Cancelled: run 1" in said
    assert_none_is_left(here)


def test_a_second_signal_kills(here: Path) -> None:
    process = Process(here, str(workflow(here, "    - {name: a, script: \"trap '' TERM; sleep 300\"}\n")))
    process.hears("a/1                   runs")
    process.send(signal.SIGINT)
    process.hears("taken down")
    process.send(signal.SIGINT)
    assert process.end()[0] == 3
    assert_none_is_left(here)


# -- one run after the other -----------------------------------------------------------------------------------


def test_killed_it_says_how_to_go_on_and_goes_on(terminal: Terminal, here: Path) -> None:
    os.mkfifo(here / "go")
    file = workflow(here, "    - {name: a, script: 'echo ran >> notes; read line < go'}\n")
    process = Process(here, str(file))
    process.hears("a/1                   runs")
    process.send(signal.SIGKILL)
    process.end()
    refused = terminal.kipu("run", str(file))
    assert (refused.code, refused.out) == (2, "")
    assert (
        f"run 1 of 'nightly' in .kipu/nightly has not ended: 'kipu run {file} --resume' goes on with it" in refused.err
    )
    resumed = Process(here, str(file), "--resume")
    (here / "go").write_text("go\n")
    assert resumed.end()[0] == 0
    assert (here / "notes").read_text() == "ran\n"
    assert terminal.kipu("run", str(file), "--resume").code == 0, "it has ended, and says so again"
    assert (here / "notes").read_text() == "ran\n"


def test_a_run_that_has_ended_is_followed_by_the_next(terminal: Terminal, here: Path) -> None:
    file = workflow(here, "    - {name: a, script: 'true'}\n")
    assert terminal.kipu("run", str(file)).code == 0
    assert "run 2, log" in terminal.kipu("run", str(file), "--dir", ".kipu").out
    assert "run 1, log" in terminal.kipu("run", str(file), "--dir", "elsewhere").out


def test_an_edited_file_does_not_change_what_was_begun(terminal: Terminal, here: Path) -> None:
    assert terminal.kipu("run", str(workflow(here, "    - {name: a, script: 'true'}\n"))).code == 0
    file = workflow(here, "    - {name: b, script: 'false'}\n")
    outcome = terminal.kipu("run", str(file), "--resume")
    assert outcome.code == 0
    assert "was edited since: run 1 goes on as it was begun" in outcome.err


def test_nothing_to_resume_is_told(terminal: Terminal, here: Path) -> None:
    outcome = terminal.kipu("run", str(workflow(here, "    - {name: a, script: 'true'}\n")), "--resume")
    assert outcome.code == 2
    assert "there is no run of 'nightly'" in outcome.err


def test_two_at_once_are_refused(terminal: Terminal, here: Path) -> None:
    os.mkfifo(here / "go")
    file = workflow(here, "    - {name: a, script: 'read line < go'}\n")
    process = Process(here, str(file))
    process.hears("a/1                   runs")
    outcome = terminal.kipu("run", str(file))
    assert outcome.code == 2
    assert "works on 'nightly'" in outcome.err
    (here / "go").write_text("go\n")
    assert process.end()[0] == 0


# -- refused -----------------------------------------------------------------------------------------------------


def test_a_spec_that_cannot_run_is_refused_with_every_place(terminal: Terminal, here: Path) -> None:
    file = workflow(here, "    - {name: a, script: 'true', dependsOn: [b]}\n    - {name: c, skript: x}\n")
    outcome = terminal.kipu("run", str(file))
    assert (outcome.code, outcome.out) == (2, "")
    assert [line.split(": ")[1] for line in outcome.err.splitlines()] == [
        "spec.steps[1].skript",
        "spec.steps[0].dependsOn[0]",
    ]
    assert not (here / ".kipu").exists()


def test_what_needs_a_cluster_is_refused(terminal: Terminal, here: Path) -> None:
    file = workflow(here, "    - {name: a, image: busybox}\n", spec="  rerun: {number: 2}\n")
    outcome = terminal.kipu("run", str(file))
    assert outcome.code == 2
    assert "spec.steps[0]: step 'a' runs what its image begins with" in outcome.err
    assert "spec.rerun: " in outcome.err


# -- what is asked of a run by an edit of its file ----------------------------------------------------------------


def test_a_run_hears_what_is_asked_by_an_edit_of_its_file(here: Path) -> None:
    process = Process(here, str(workflow(here, ASKS, spec="  suspend: true\n")))
    process.hears("workflow              suspended")
    workflow(here, ASKS)
    process.hears("asks for approval")
    (here / "workflow.yaml").write_text("{")
    process.hears("is passed over")
    workflow(here, ASKS, spec="  approvals: [{step: ask, decision: Approve, by: me}]\n")
    assert process.end()[0] == 0


def test_a_run_is_resumed_with_what_is_asked_meanwhile(terminal: Terminal, here: Path) -> None:
    process = Process(here, str(workflow(here, ASKS)))
    process.hears("asks for approval")
    process.send(signal.SIGKILL)
    process.end()
    file = workflow(here, ASKS, spec="  approvals: [{step: ask, decision: Reject, by: me, message: not now}]\n")
    outcome = terminal.kipu("run", str(file), "--resume")
    assert outcome.code == 1
    assert "Reject by me: not now" in outcome.out


def test_a_file_that_asks_for_the_end_cancels(terminal: Terminal, here: Path) -> None:
    file = workflow(here, "    - {name: a, script: sleep 300}\n", spec="  shutdown: {mode: Cancel}\n")
    assert terminal.kipu("run", str(file)).code == 3
    assert_none_is_left(here)


def test_a_wait_passes_and_finally_knows_the_outcome(terminal: Terminal, here: Path) -> None:
    steps = "    - {name: a, wait: {duration: 100ms}}\n    - {name: b, dependsOn: [a], script: 'false'}\n"
    last = "  finally:\n    - {name: c, script: 'test $KIPU_OUTCOME = Failed'}\n"
    outcome = terminal.kipu("run", str(workflow(here, steps, spec=last)))
    assert outcome.code == 1
    assert "step 'b' failed" in outcome.out + outcome.err


# -- the log -----------------------------------------------------------------------------------------------------


def test_its_history_can_be_read_and_verified(terminal: Terminal, here: Path) -> None:
    assert terminal.kipu("run", str(EXAMPLES / "hello.yaml")).code == 0
    table = terminal.kipu("history", "hello", "--dir", ".kipu")
    assert table.code == 0
    assert "WorkflowFinished" in table.out
    jsonl = terminal.kipu("history", "hello", "--dir", ".kipu", "-o", "jsonl")
    verified = terminal.kipu("verify", "-", stdin=jsonl.out.encode())
    assert verified.code == 0
    assert verified.out.endswith("phase Succeeded\n")


def test_its_history_shows_the_steps_as_they_stood_at_a_position(terminal: Terminal, here: Path) -> None:
    terminal.kipu("run", str(EXAMPLES / "hello.yaml"))
    outcome = terminal.kipu("history", "hello", "--dir", ".kipu", "--at", "2")
    assert outcome.code == 0
    assert outcome.out.startswith("at position 2, ")


def test_a_history_that_is_not_there_is_told(terminal: Terminal, here: Path) -> None:
    outcome = terminal.kipu("history", "hello", "--dir", ".kipu")
    assert outcome == (2, "", "kipu: there is no run of 'hello' in .kipu\n")


def test_a_changed_log_is_not_gone_on_with(terminal: Terminal, here: Path) -> None:
    file = workflow(here, "    - {name: a, script: 'true'}\n")
    assert terminal.kipu("run", str(file)).code == 0
    (log,) = here.glob(".kipu/nightly/1/log/*/*.log")
    log.write_bytes(log.read_bytes().replace(b"StepSucceeded", b"StepSucceedee"))
    for arguments in (["run", str(file)], ["run", str(file), "--resume"], ["history", "nightly", "--dir", ".kipu"]):
        outcome = terminal.kipu(*arguments)
        assert outcome.code == 1
        assert "kipu: not sound: .kipu/nightly/1/log/" in outcome.err

"""`kipu run` with what a person says beside the file: params, another run, what became of a step."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.cli.local_terminal import ASKS, EXAMPLES, OwnThread, Process, workflow
from tests.cli.terminal import Terminal
from tests.shell.test_local_kills import assert_none_is_left

pytestmark = pytest.mark.proof


@pytest.fixture
def terminal(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Terminal:
    return OwnThread(capsys, monkeypatch)


# -- what nobody knows -------------------------------------------------------------------------------------------

PAYS = """    - {name: pay, effects: External, script: 'echo "paid $KIPU_ATTEMPT" >> notes; kill -KILL $$'}\n"""


def test_what_nobody_knows_ends_the_command_and_not_the_run_and_a_word_goes_on(terminal: Terminal, here: Path) -> None:
    file = workflow(here, PAYS + "    - {name: b, dependsOn: [pay], script: 'echo b >> notes'}\n")
    for outcome in (terminal.kipu("run", str(file)), terminal.kipu("run", str(file), "--resume")):
        assert outcome.code == 1
        assert f"'kipu run {file} --resume --resolve pay=Succeed' (or Fail, or Retry)" in outcome.err
        assert "Running: run 1, log" in outcome.out
    assert terminal.kipu("run", str(file)).code == 2, "the run has not ended"
    again = terminal.kipu("run", str(file), "--resume", "--resolve", "pay=Retry")
    assert again.code == 1
    assert "pay/1                 Retry by " in again.out
    assert "pay/2                 nobody knows whether it has done its work: killed by signal 9" in again.out
    assert terminal.kipu("run", str(file), "--resume", "--resolve", "pay=Succeed").code == 0
    assert (here / "notes").read_text().splitlines() == ["paid 1", "paid 2", "b"]


def test_a_word_about_a_step_that_waits_for_none_is_refused(terminal: Terminal, here: Path) -> None:
    file = workflow(here, PAYS)
    terminal.kipu("run", str(file))
    outcome = terminal.kipu("run", str(file), "--resume", "--resolve", "pax=Fail")
    assert outcome == (2, "", "kipu: --resolve pax: no such step waits for a word; those that do: pay\n")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--resume", "--resolve", "pay"], "must be one of STEP=Retry, STEP=Fail, STEP=Succeed"),
        (["--resume", "--resolve", "pay=Perhaps"], "must be one of STEP="),
        (["--resolve", "pay=Fail"], "give it with --resume"),
    ],
)
def test_what_is_no_word_is_refused(terminal: Terminal, here: Path, arguments: list[str], said: str) -> None:
    outcome = terminal.kipu("run", str(workflow(here, PAYS)), *arguments)
    assert outcome.code == 2
    assert said in outcome.err


# -- once more ----------------------------------------------------------------------------------------------------

AGAIN = """
    - {name: fetch, script: 'echo "fetch $KIPU_RUN" >> notes; echo rows=1 >> "$KIPU_OUTPUT"', outputs: [{name: rows}]}
    - name: load
      dependsOn: [fetch]
      env: [{name: ROWS, value: "${{ steps.fetch.outputs.rows }}"}]
      script: 'echo "load $KIPU_RUN $ROWS" >> notes; [ -e fixed ]'
"""


def test_a_rerun_keeps_what_has_succeeded_with_its_outputs(terminal: Terminal, here: Path) -> None:
    file = workflow(here, AGAIN)
    assert terminal.kipu("run", str(file)).code == 1
    (here / "fixed").touch()
    outcome = terminal.kipu("run", str(file), "--rerun")
    assert outcome.code == 0
    assert "workflow              runs again: rerun 2\n" in outcome.out
    assert "Succeeded: run 1 (rerun 2), log and outputs in .kipu/nightly/1\n" in outcome.out
    assert (here / "notes").read_text().splitlines() == ["fetch 1", "load 1 1", "load 2 1"]
    assert terminal.kipu("run", str(file), "--resume").code == 0, "it has ended, and says so again"
    assert terminal.kipu("run", str(file), "--rerun", "--from", "fetch").code == 0
    assert (here / "notes").read_text().splitlines()[3:] == ["fetch 3", "load 3 1"]
    jsonl = terminal.kipu("history", "nightly", "--dir", ".kipu", "-o", "jsonl")
    assert terminal.kipu("verify", "-", stdin=jsonl.out.encode()).code == 0
    assert terminal.kipu("run", str(file)).code == 0
    assert (here / "notes").read_text().splitlines()[5:] == ["fetch 1", "load 1 1"], "another run begins anew"


def test_a_rerun_that_is_killed_is_resumed(terminal: Terminal, here: Path) -> None:
    os.mkfifo(here / "go")
    file = workflow(
        here, """    - {name: a, script: 'echo "$KIPU_RUN" >> notes; [ "$KIPU_RUN" = 2 ] && read line < go'}\n"""
    )
    assert terminal.kipu("run", str(file)).code == 1
    process = Process(here, str(file), "--rerun")
    process.hears("a/1                   runs")
    process.send(signal.SIGKILL)
    process.end()
    refused = terminal.kipu("run", str(file), "--rerun")
    assert refused.code == 2
    assert f"has not ended: 'kipu run {file} --resume' goes on with it" in refused.err
    resumed = Process(here, str(file), "--resume")
    (here / "go").write_text("go\n")
    assert resumed.end()[0] == 0
    assert (here / "notes").read_text() == "1\n2\n"
    assert_none_is_left(here)


def test_a_rerun_of_a_file_that_was_edited_since_is_refused(terminal: Terminal, here: Path) -> None:
    terminal.kipu("run", str(workflow(here, AGAIN)))
    edited = workflow(here, AGAIN, spec="  timeout: 1h\n")
    outcome = terminal.kipu("run", str(edited), "--rerun")
    assert (outcome.code, outcome.out) == (2, "")
    assert "was edited since run 1 was begun, and --rerun runs again what was begun" in outcome.err
    (here / "fixed").touch()
    asked = workflow(here, AGAIN, spec="  ttlAfterFinished: 1h\n")
    assert terminal.kipu("run", str(asked), "--rerun").code == 0, "what may be edited at any time changes nothing"


def test_a_run_is_run_again_with_the_params_that_it_was_begun_with(terminal: Terminal, here: Path) -> None:
    file = workflow(here, GREETS, spec="  params: [{name: who, value: you}]\n")
    terminal.kipu("run", str(file), "--param", "who=me")
    assert terminal.kipu("run", str(file), "--rerun", "--param", "who=them").code == 2
    assert terminal.kipu("run", str(file), "--rerun", "--from", "greet").code == 0
    assert (here / "notes").read_text() == "me\nme\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--rerun", "--from", "fetsch"], "kipu: --from: there is no step 'fetsch': did you mean 'fetch'?\n"),
        (["--rerun", "--resume"], "give one"),
        (["--from", "fetch"], "give it with --rerun"),
        (["--rerun", "--dir", "elsewhere"], "there is no run of 'nightly' in elsewhere/nightly: begin one without"),
    ],
)
def test_a_rerun_that_cannot_be_is_refused(terminal: Terminal, here: Path, arguments: list[str], said: str) -> None:
    file = workflow(here, AGAIN)
    terminal.kipu("run", str(file))
    outcome = terminal.kipu("run", str(file), *arguments)
    assert outcome.code == 2
    assert said in outcome.err


# -- params ------------------------------------------------------------------------------------------------------

GREETS = """    - {name: greet, script: 'echo "$WHO" >> notes', env: [{name: WHO, value: "${{ params.who }}"}]}\n"""


def test_a_param_of_the_command_line_stands_in_place_of_the_file_s(terminal: Terminal, here: Path) -> None:
    file = workflow(here, GREETS, spec="  params: [{name: who, value: you}]\n")
    assert terminal.kipu("run", str(file), "--param", "who=2026-11-24").code == 0
    assert (here / "notes").read_text() == "2026-11-24\n"
    refused = terminal.kipu("run", str(file), "--param", "whu=me")
    assert (refused.code, refused.out) == (2, "")
    assert "kipu: --param whu: there is no param of this name (did you mean 'who'?)\n" in refused.err


def test_a_run_goes_on_with_the_params_that_it_was_begun_with(terminal: Terminal, here: Path) -> None:
    file = workflow(here, ASKS + GREETS, spec="  params: [{name: who, value: you}]\n")
    process = Process(here, str(file), "--param", "who=me")
    process.hears("asks for approval")
    process.hears("greet/1")
    process.send(signal.SIGKILL)
    process.end()
    other = terminal.kipu("run", str(file), "--resume", "--param", "who=them")
    assert other.code == 2
    assert "run 1 of 'nightly' was begun with --param who=me: it goes on with no other" in other.err
    spec = "  params: [{name: who, value: you}]\n  approvals: [{step: ask, decision: Approve, by: me}]\n"
    outcome = terminal.kipu("run", str(workflow(here, ASKS + GREETS, spec=spec)), "--resume")
    assert outcome.code == 0
    assert "was edited since" not in outcome.err
    assert (here / "notes").read_text() == "me\n"


def test_a_template_lies_in_the_same_file_and_its_params_have_types(terminal: Terminal, here: Path) -> None:
    assert terminal.kipu("run", str(EXAMPLES / "template.yaml"), "--param", "times=3").code == 0
    (log,) = here.glob(".kipu/template/1/attempts/*/output.log")
    assert log.read_text() == "hello Kipu\n" * 3
    assert terminal.kipu("run", str(EXAMPLES / "template.yaml"), "--param", "times=4").code == 2

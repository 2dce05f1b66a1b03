"""The warden alone: what it runs, what it writes down, and what it leaves behind."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from kipu.shell import local_performer
from kipu.shell.local_attempts import Attempt, Claim, End
from kipu.shell.local_processes import Process, boot_id, identify, is_alive, relatives

MARK = f"KIPU_ATTEMPT_ID=of-the-test-in-{os.getpid()}"  # a warden kills all that has its mark


class Warden:
    """A warden as the engine starts it."""

    def __init__(
        self,
        attempt: Attempt,
        script: str,
        *,
        grace_seconds: float = 30,
        arguments: Sequence[str] = (),
        is_held: bool = False,
    ) -> None:
        attempt.prepare()
        self.attempt = attempt
        plan = {
            "intent": "1:ab",
            "mark": MARK,
            "isHeld": is_held,
            "graceSeconds": grace_seconds,
            "arguments": arguments or ["/bin/sh", "-e", "-c", script],
            "environment": {"PATH": os.environ["PATH"], **dict([MARK.split("=")])},
            "folder": str(attempt.folder),
        }
        with attempt.log.open("ab") as log:
            self.process = subprocess.Popen(
                [
                    sys.executable,
                    "-S",
                    "-E",
                    "-c",
                    local_performer.WARDEN,
                    str(local_performer.SOURCE),
                    str(attempt.folder),
                ],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
            )
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(plan).encode())
        self.process.stdin.close()

    def claimed(self) -> Claim:
        """Once it, or another, has claimed the attempt."""
        assert self.process.stdout is not None
        if not self.process.stdout.closed:
            with self.process.stdout as heard:
                heard.read()
        claim = self.attempt.claim()
        assert claim is not None
        return claim

    def end(self) -> End:
        self.claimed()
        assert self.process.wait() == 0
        end = self.attempt.end()
        assert end is not None
        assert relatives(MARK, None) == []
        return end


@pytest.fixture
def attempt(tmp_path: Path) -> Iterator[Attempt]:
    yield Attempt(tmp_path / "attempt")
    for pid in relatives(MARK, None):
        os.kill(pid, signal.SIGKILL)


def said(attempt: Attempt, name: str = "up") -> str:
    """What the program writes into a fifo of its folder: waits until it has."""
    with (attempt.folder / name).open() as file:
        return file.read()


def with_fifo(attempt: Attempt, name: str = "up") -> Attempt:
    attempt.prepare()
    os.mkfifo(attempt.folder / name)
    return attempt


def test_it_writes_down_how_the_program_ended_and_what_it_printed(attempt: Attempt) -> None:
    end = Warden(attempt, "echo out; echo err >&2; exit 7").end()
    assert (end.exit_code, end.signal, end.error, end.is_stopped) == (7, None, "", False)
    assert 0 < end.started_at <= end.finished_at
    assert attempt.tail(5) == ["out", "err"]


def test_the_claim_names_warden_and_program_before_the_program_begins(attempt: Attempt) -> None:
    warden = Warden(with_fifo(attempt), "cat claim > up; echo $$ > pid; sleep 300")
    told = json.loads(said(attempt))
    claim = warden.claimed()
    assert claim.warden == identify(warden.process.pid)
    assert claim.program is not None
    assert told["program"]["pid"] == claim.program.pid
    os.kill(warden.process.pid, signal.SIGTERM)
    assert warden.end().is_stopped


def test_a_program_that_is_held_begins_once_it_is_released_and_then_knows_nothing_of_it(attempt: Attempt) -> None:
    warden = Warden(attempt, "echo ran >> notes; awk '/SigPnd|ShdPnd/ {print $2}' /proc/self/status", is_held=True)
    claim = warden.claimed()
    assert claim.program is not None
    os.kill(claim.program.pid, signal.SIGCONT)  # whatever it hears, it does not begin
    assert not (attempt.folder / "notes").exists()
    for _ in range(2):
        warden.process.send_signal(signal.SIGUSR2)
    assert warden.end().exit_code == 0
    assert (attempt.folder / "notes").read_text() == "ran\n"
    assert [int(pending, 16) for pending in attempt.tail(2)] == [0, 0]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_a_program_that_is_held_and_told_to_stop_never_begins(attempt: Attempt, number: signal.Signals) -> None:
    warden = Warden(attempt, "echo ran >> notes", is_held=True)
    warden.claimed()
    warden.process.send_signal(number)
    end = warden.end()
    assert (end.exit_code, end.signal, end.is_stopped) == (None, None, True)
    assert not (attempt.folder / "notes").exists()


def test_a_program_that_is_killed_while_it_is_held_has_ended(attempt: Attempt) -> None:
    warden = Warden(attempt, "echo ran >> notes", is_held=True)
    claim = warden.claimed()
    assert claim.program is not None
    os.kill(claim.program.pid, signal.SIGKILL)
    assert warden.end().signal == signal.SIGKILL
    assert not (attempt.folder / "notes").exists()


def test_a_warden_that_is_killed_while_it_holds_its_program_leaves_nothing_running(attempt: Attempt) -> None:
    warden = Warden(attempt, "echo ran >> notes", is_held=True)
    claim = warden.claimed()
    warden.process.kill()
    warden.process.wait()
    assert claim.program is not None
    try:
        descriptor = os.pidfd_open(claim.program.pid)
    except ProcessLookupError:
        pass
    else:
        assert select.select([descriptor], [], [], 5.0)[0]
        os.close(descriptor)
    assert not (attempt.folder / "notes").exists()
    assert attempt.end() is None


def test_an_attempt_that_is_claimed_is_not_begun_again(attempt: Attempt) -> None:
    first = Warden(attempt, "echo ran >> notes")
    first.end()
    before = attempt.claim()
    second = Warden(attempt, "echo ran >> notes")
    assert second.claimed() == before
    assert second.process.wait() == 0
    assert (attempt.folder / "notes").read_text() == "ran\n"


def test_of_many_wardens_at_once_one_runs_the_program(attempt: Attempt) -> None:
    wardens = [Warden(attempt, "echo ran >> notes") for _ in range(5)]
    for warden in wardens:
        warden.claimed()
        warden.process.wait()
    assert (attempt.folder / "notes").read_text() == "ran\n"
    assert sorted(path.name for path in attempt.folder.glob(".*")) == []


def test_an_attempt_that_was_given_up_never_begins(attempt: Attempt) -> None:
    attempt.prepare()
    assert attempt.make_claim(Claim(intent="1:ab"))
    warden = Warden(attempt, "echo ran >> notes")
    assert warden.claimed().warden is None
    assert warden.process.wait() == 0
    assert not (attempt.folder / "notes").exists()
    assert attempt.end() is None


def test_what_the_program_leaves_running_is_killed_wherever_it_went(attempt: Attempt) -> None:
    end = Warden(attempt, "sleep 300 & (setsid sleep 300) & (env -i sleep 300) & exit 0").end()
    assert end.exit_code == 0


def test_told_to_stop_it_gives_the_program_its_time(attempt: Attempt) -> None:
    warden = Warden(with_fifo(attempt), "trap 'echo bye; exit 3' TERM; echo up > up; sleep 300 & wait")
    said(attempt)
    warden.process.terminate()
    end = warden.end()
    assert (end.exit_code, end.is_stopped) == (3, True)
    assert attempt.tail(1) == ["bye"]


def test_after_the_grace_it_kills_the_whole_group(attempt: Attempt) -> None:
    warden = Warden(with_fifo(attempt), "trap '' TERM; sleep 300 & echo up > up; sleep 300", grace_seconds=0.1)
    said(attempt)
    warden.process.terminate()
    assert warden.end().signal == signal.SIGKILL


def test_told_again_it_waits_on_and_told_to_hurry_it_does_not(attempt: Attempt) -> None:
    script = (
        "trap 'echo t >> notes' TERM; echo up > up; while :; do sleep 0.05 || :; [ ! -e notes ] || echo > term; done"
    )
    warden = Warden(with_fifo(with_fifo(attempt), "term"), script)
    said(attempt)
    warden.process.terminate()
    said(attempt, "term")
    warden.process.terminate()
    assert is_alive(warden.claimed().program or Process(0, 0, ""))
    warden.process.send_signal(signal.SIGUSR1)
    assert warden.end().signal == signal.SIGKILL


def test_the_program_has_no_input_and_no_signal_that_is_blocked_or_ignored(attempt: Attempt) -> None:
    asks = ["awk", '/SigBlk|SigIgn/ {print $2} END {print getline < "/dev/stdin"}', "/proc/self/status"]
    assert Warden(attempt, "", arguments=asks).end().exit_code == 0
    blocked, ignored, read = attempt.tail(3)
    standard = (1 << 31) - 1  # above are those of real time, of which make may leave one ignored
    assert (int(blocked, 16), int(ignored, 16) & standard, read) == (0, 0, "0")


@pytest.mark.parametrize(
    ("arguments", "code", "error"),
    [
        (["no-such-program"], 127, "No such file"),
        (["/etc/passwd"], 126, "Permission denied"),
        (["true", "a\0b"], 126, "embedded null byte"),
    ],
)
def test_what_cannot_be_run_says_so(attempt: Attempt, arguments: list[str], code: int, error: str) -> None:
    end = Warden(attempt, "", arguments=arguments).end()
    assert end.exit_code == code
    assert f"cannot run '{arguments[0]}': {error}" in end.error


def test_a_warden_that_is_killed_before_its_claim_leaves_nothing_running(attempt: Attempt) -> None:
    attempt.prepare()
    process = subprocess.Popen(
        [
            sys.executable,
            *local_performer.ISOLATED,
            "-c",
            local_performer.WARDEN,
            str(local_performer.SOURCE),
            str(attempt.folder),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
    )
    process.kill()
    process.communicate()
    assert attempt.claim() is None
    assert relatives(MARK, None) == []


# -- processes ---------------------------------------------------------------------------------------------


def test_a_process_is_known_by_more_than_its_number() -> None:
    child = subprocess.Popen(["sleep", "300"])
    known = identify(child.pid)
    assert known is not None
    assert is_alive(known)
    assert not is_alive(Process(known.pid, known.started + 1, known.boot))
    assert not is_alive(Process(known.pid, known.started, "another boot"))
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert not is_alive(known), "it has ended, and nobody has waited for it"
    child.wait()
    assert identify(child.pid) != known


def test_a_session_is_believed_only_while_its_leader_is_proven() -> None:
    leader = subprocess.Popen(["sh", "-c", "env -i sleep 300 & wait"], start_new_session=True)
    known = identify(leader.pid)
    assert known is not None
    assert leader.pid in relatives("NO=mark", known)
    assert relatives("NO=mark", Process(known.pid, known.started + 1, boot_id())) == []
    os.killpg(leader.pid, signal.SIGKILL)
    leader.wait()


def test_both_files_are_there_whole_or_not_at_all(attempt: Attempt) -> None:
    attempt.prepare()
    assert attempt.claim() is None
    assert attempt.end() is None
    (attempt.folder / ".claim.1").write_text('{"half')
    (attempt.folder / ".end").write_text('{"half')
    assert attempt.make_claim(Claim(intent="1:a", warden=Process(1, 2, "b"), program=Process(3, 4, "b"), started_at=5))
    assert not attempt.make_claim(Claim(intent="1:b"))
    attempt.write_end(End(exit_code=0))
    claim, end = attempt.claim(), attempt.end()
    assert claim == Claim(intent="1:a", warden=Process(1, 2, "b"), program=Process(3, 4, "b"), started_at=5)
    assert end == End(exit_code=0)

"""`kipu run` killed by SIGKILL, and resumed, over and over: it ends right, once, and leaves nothing behind."""

from __future__ import annotations

import contextlib
import os
import random
import select
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from kipu.cli.errors import CannotTell
from kipu.cli.running import load
from kipu.core.events import StepSucceeded
from kipu.core.evolve import fold
from kipu.core.state import State
from kipu.shell.local_processes import identify
from tests.shell.lives import Lives

KILLS = [pytest.param(20), pytest.param(200, marks=pytest.mark.proof)]
WARDENS_KILLED = 40  # and programs
LIVES_MAX = 200  # of one workflow: each of its steps ends sooner or later, whoever is killed
# Each attempt notes that it ran, before and after its work. Some leave a process behind that nobody needs.
STEP = """
      script: |
        echo "begun $KIPU_ATTEMPT" >> "$PWD/$KIPU_STEP"
        sleep 300 &
        (setsid sleep 300) &
        sleep 0.0{rest}
        [ "$KIPU_STEP" != flaky ] || [ "$KIPU_ATTEMPT" -gt 1 ]
        echo "done $KIPU_ATTEMPT" >> "$PWD/$KIPU_STEP"
"""
HEAD = """
apiVersion: kipu.dev/v1alpha1
kind: Workflow
metadata: {name: diamond}
spec:
  defaults: {image: unused, retry: {maxAttempts: 2, backoff: {initial: 10ms, jitter: None}}}
  steps:
"""
SLOW = """
    - name: shard
      dependsOn: [a]
      forEach: {count: 3}
      script: echo "$KIPU_INDEX" >> "$PWD/shard"; sleep 0.05
    - name: slow
      dependsOn: [a]
      allowFailure: true
      startTimeout: 1h
      attemptTimeout: 300ms
      retry: {maxAttempts: 1}
      template: {spec: {terminationGracePeriodSeconds: 0}}
      script: trap '' TERM; echo "begun $KIPU_ATTEMPT" >> "$PWD/slow"; sleep 300
"""
GRAPH = {"a": [], "flaky": ["a"], "b": ["a"], "c": ["flaky", "b"], "d": ["c", "slow"]}


def written(folder: Path) -> Path:
    folder.mkdir()
    steps = [
        f"    - name: {name}\n      dependsOn: [{', '.join(needs)}]{STEP.format(rest=3 + 2 * place)}"
        for place, (name, needs) in enumerate(GRAPH.items())
    ]
    (folder / "workflow.yaml").write_text(HEAD + "".join(steps) + SLOW)
    return folder


def ended(folder: Path) -> State:
    _, history = load(folder / "runs", "diamond")
    succeeded = Counter(record.event.step for record in history.records if isinstance(record.event, StepSucceeded))
    assert set(succeeded.values()) == {1}
    return fold((record.event, record.ts) for record in history.records)


def processes_of(folder: Path) -> list[int]:
    """Wardens and programs alike: all that name the folder in their arguments or their environment."""
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit() and int(name) != os.getpid() and identify(int(name)) is not None:
            try:
                text = Path(f"/proc/{name}/cmdline").read_bytes() + Path(f"/proc/{name}/environ").read_bytes()
            except (FileNotFoundError, ProcessLookupError, PermissionError):
                continue
            if str(folder).encode() in text:
                found.append(int(name))
    return found


def assert_none_is_left(folder: Path) -> None:
    """Once the run has ended; a warden has then written its end, and may need a moment to end itself."""
    for pid in processes_of(folder):
        assert b"local_warden" in Path(f"/proc/{pid}/cmdline").read_bytes()
        descriptor = os.pidfd_open(pid)
        assert select.select([descriptor], [], [], 5.0)[0]
        os.close(descriptor)
    assert processes_of(folder) == []


def assert_each_ran_once(folder: Path) -> None:
    once = ["begun 1", "done 1"]
    for name in GRAPH:
        expected = ["begun 1", "begun 2", "done 2"] if name == "flaky" else once
        assert (folder / name).read_text().splitlines() == expected
    assert (folder / "slow").read_text().splitlines() == ["begun 1"]
    assert sorted((folder / "shard").read_text().split()) == ["0", "1", "2"]


@pytest.fixture(scope="module")
def lives() -> Iterator[Lives]:
    with Lives() as lives:
        yield lives


@pytest.mark.proof
@pytest.mark.timeout(300)
@pytest.mark.parametrize("wanted", KILLS)
def test_killed_at_any_moment_and_resumed_it_ends_right_and_no_step_runs_twice(
    lives: Lives, tmp_path: Path, wanted: int
) -> None:
    dice, kills, runs = random.Random(wanted), 0, 0
    while kills < wanted:
        runs += 1
        folder = written(tmp_path / f"{runs}")
        for _ in range(LIVES_MAX):
            code, _ = lives.live(folder, after_seconds=dice.choice([0.03, 0.1, 0.3]) * dice.random())
            if code is not None:
                break
            kills += 1
        assert code == 0, (folder / "terminal").read_text()
        assert str(ended(folder).phase) == "Succeeded"
        assert_each_ran_once(folder)
        assert_none_is_left(folder)
    print(f"{kills} kills in {runs} runs")


NOBODY_ELSE = """
      retry: {maxAttempts: 100, backoff: {initial: 1ms, jitter: None}}
      script: |
        grep -qs ') [^ZX]' "/proc/$(cat "$KIPU_STEP.pid" 2> /dev/null)/stat" && echo "$KIPU_STEP" >> overlaps || :
        echo $$ > "$KIPU_STEP.pid"
        (setsid sleep 300) &
        sleep 0.2
"""


@pytest.mark.proof
@pytest.mark.timeout(300)
def test_whoever_is_killed_wardens_too_no_two_attempts_of_a_step_run_at_once(lives: Lives, tmp_path: Path) -> None:
    dice, killed, runs = random.Random(3), 0, 0
    while killed < WARDENS_KILLED:
        runs += 1
        folder = tmp_path / f"{runs}"
        folder.mkdir()
        steps = [
            f"    - name: {name}\n      dependsOn: [{', '.join(needs)}]{NOBODY_ELSE}" for name, needs in FLOW.items()
        ]
        (folder / "workflow.yaml").write_text(HEAD + "".join(steps))
        for _ in range(LIVES_MAX):
            code, _ = lives.live(folder, after_seconds=0.4 * dice.random())
            if code is not None:
                break
            killed += kill_some(folder, dice)
        assert code == 0, (folder / "terminal").read_text()
        assert str(ended(folder).phase) == "Succeeded"
        assert not (folder / "overlaps").exists()
        assert_none_is_left(folder)


ONCE = """
      effects: External
      retry: {maxAttempts: 100, backoff: {initial: 1ms, jitter: None}}
      script: |
        echo "begun" >> "$KIPU_STEP"
        (setsid sleep 300) &
        sleep 0.2 || :  # an exit code would be its own word
"""


@pytest.mark.proof
@pytest.mark.timeout(300)
def test_whoever_is_killed_an_external_program_is_never_run_twice_in_silence(lives: Lives, tmp_path: Path) -> None:
    dice, killed, unknown, runs = random.Random(4), 0, 0, 0
    while killed < WARDENS_KILLED:
        runs += 1
        folder = tmp_path / f"{runs}"
        folder.mkdir()
        steps = [f"    - name: {name}\n      dependsOn: [{', '.join(needs)}]{ONCE}" for name, needs in FLOW.items()]
        (folder / "workflow.yaml").write_text(HEAD + "".join(steps))
        words: list[str] = []
        said: set[str] = set()
        for _ in range(LIVES_MAX):
            code, _ = lives.live(folder, after_seconds=0.4 * dice.random(), words=words)
            if code == 0:
                break
            words = [f"{name}=Succeed" for name in unknown_of(folder)]
            said |= set(unknown_of(folder))
            killed += kill_some(folder, dice)
        assert code == 0, (folder / "terminal").read_text()
        for name in FLOW:
            ran = (folder / name).read_text().splitlines() if (folder / name).exists() else []
            assert ran == ["begun"] or (ran == [] and name in said)
        unknown += len(said)
        assert_none_is_left(folder)
    assert unknown
    print(f"{killed} killed, {unknown} unknown in {runs} runs")


def kill_some(folder: Path, dice: random.Random) -> int:
    """Of the processes of this run; how many."""
    chosen = [pid for pid in processes_of(folder) if dice.random() < 0.3]
    for pid in chosen:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return len(chosen)


def unknown_of(folder: Path) -> list[str]:
    """The steps of which nobody knows."""
    try:
        _, history = load(folder / "runs", "diamond")
    except CannotTell:
        return []
    state = fold((record.event, record.ts) for record in history.records)
    return [state.name(place) for place in state.unknown]


FLOW = {"a": [], "b": ["a"], "c": ["a"], "d": ["b", "c"]}
SHORT = HEAD + "    - {name: a, script: 'echo ran >> a'}\n    - {name: b, dependsOn: [a], script: 'echo ran >> b'}\n"
LONE = HEAD + "    - {name: a, effects: External, script: 'echo ran >> a'}\n"


@pytest.mark.proof
@pytest.mark.timeout(300)
@pytest.mark.parametrize("steps_yaml", [SHORT, LONE], ids=["Idempotent", "External"])
def test_killed_before_and_after_every_step_to_the_disk_or_to_a_process_it_ends_right(
    lives: Lives, tmp_path: Path, steps_yaml: str
) -> None:
    def fresh(name: str) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        (folder / "workflow.yaml").write_text(steps_yaml)
        return folder

    names = "ab" if steps_yaml == SHORT else "a"
    code, steps = lives.live(fresh("whole"))
    assert code == 0
    assert steps >= 8 * len(names)
    for at in range(2 * steps):
        folder = fresh(f"{at}")
        code, _ = lives.live(folder, at=at)
        assert code in (None, 0)
        code, _ = lives.live(folder)
        assert code == 0, (folder / "terminal").read_text()
        assert [(folder / name).read_text() for name in names] == ["ran\n"] * len(names)
        assert str(ended(folder).phase) == "Succeeded"
        assert_none_is_left(folder)

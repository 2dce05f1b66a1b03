"""Where runs lie: who may work there, which is the newest, and what a killed beginning leaves."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kipu.core.errors import CorruptionError
from kipu.shell.local_runs import Busy, Runs

SPEC = {"steps": [{"name": "a", "script": "true"}]}


def begun(base: Path, times: int = 1) -> Runs:
    runs = Runs(base, "nightly")
    runs.own()
    for _ in range(times):
        runs.begin(SPEC, base)
    return runs


def test_a_run_is_found_again_as_it_was_begun(tmp_path: Path) -> None:
    runs = Runs(tmp_path / "new", "nightly")
    runs.own()
    assert runs.newest() is None
    run = runs.begin(SPEC, tmp_path)
    assert (runs.newest(), run.number, run.stream.name) == (run, 1, "nightly")
    assert (tmp_path / "new" / ".gitignore").read_text() == "*\n"
    runs.release()


def test_a_run_keeps_its_template_and_the_params_of_its_command_line(tmp_path: Path) -> None:
    runs = Runs(tmp_path, "nightly")
    runs.own()
    spec = {"templateRef": {"name": "etl"}, "params": [{"name": "who", "value": "me"}]}
    template = {"params": [{"name": "who"}], "steps": [{"name": "a", "image": "i"}]}
    run = runs.begin(spec, tmp_path, template=template, params={"who": "me"})
    assert runs.newest() == run
    assert run.definition().params == {"who": "me"}
    runs.release()


def test_the_newest_run_has_the_highest_number(tmp_path: Path) -> None:
    runs = begun(tmp_path, times=11)
    newest = runs.newest()
    assert newest is not None
    assert newest.number == 11
    assert len({json.loads(path.read_text())["uid"] for path in tmp_path.glob("nightly/*/run.json")}) == 11
    runs.release()


def test_a_folder_without_a_whole_beginning_is_no_run_and_is_used_again(tmp_path: Path) -> None:
    runs = begun(tmp_path)
    (tmp_path / "nightly" / "2").mkdir()
    (tmp_path / "nightly" / "2" / ".run.json").write_text('{"half')
    newest = runs.newest()
    assert newest is not None
    assert newest.number == 1
    assert runs.begin(SPEC, tmp_path).number == 2
    runs.release()


def test_one_process_alone_works_on_a_workflow(tmp_path: Path) -> None:
    runs = begun(tmp_path)
    with pytest.raises(Busy, match="works on 'nightly'"):
        Runs(tmp_path, "nightly").own()
    Runs(tmp_path, "other").own()
    runs.release()
    Runs(tmp_path, "nightly").own()


@pytest.mark.parametrize("change", ["{", "[]", "{}", "name", "spec", "format"])
def test_a_changed_beginning_is_refused(tmp_path: Path, change: str) -> None:
    runs = begun(tmp_path)
    path = tmp_path / "nightly" / "1" / "run.json"
    raw = json.loads(path.read_text())
    path.write_text(
        change if not change.isalpha() else json.dumps(raw | {change: {"steps": []} if change == "spec" else "x"})
    )
    with pytest.raises(CorruptionError, match="not what was written"):
        runs.newest()
    runs.release()

"""What shells and kubectl complete, and the command line as a plugin of kubectl."""

from __future__ import annotations

import re
import shlex
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from kipu.cli import plugin
from kipu.cli.commands import Command
from kipu.cli.main import kipu, main
from tests.api.specs import spec, step
from tests.cli import exports
from tests.cli.api_server import ApiServer
from tests.cli.stored import AT, flow_of, put, stored
from tests.cli.terminal import Terminal
from tests.core.given import SECOND

ASKS = spec(
    step("build"),
    {"name": "publish", "dependsOn": ["build"], "approval": {}},
    step("pay", effects="External"),
    **{"finally": [step("tidy")]},
)


@pytest.fixture
def filled(server: ApiServer) -> ApiServer:
    flow = flow_of(ASKS)
    flow.succeed("build", after=SECOND)
    flow.start("pay")
    flow.lose("pay")
    flow.gone("pay")
    put(server, stored(ASKS, flow))
    put(server, stored(ASKS, name="noon"))
    put(server, stored(ASKS, name="hourly"))
    server.objects[f"{AT.replace('workflows', 'workflowtemplates')}/etl"] = {"metadata": {"name": "etl"}}
    return server


def completed(capture: pytest.CaptureFixture[str], *words: str) -> list[str]:
    plugin.complete(words)
    printed = capture.readouterr()
    assert printed.err == ""
    return [line.partition("\t")[0] for line in printed.out.splitlines()]


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["can"], ["cancel", ":4"]),
        (["cancel", ""], ["hourly", "nightly", "noon", ":4"]),
        (["cancel", "n"], ["nightly", "noon", ":4"]),
        (["cancel", "-n", "default", "no"], ["noon", ":4"]),
        (["cancel", "-n", "other", ""], [":4"]),
        (["purge", "noon", "n"], ["nightly", ":4"]),
        (["approve", "nightly", ""], ["publish", ":4"]),
        (["approve", "noon", ""], ["publish", ":4"]),
        (["approve", "nightly", "publish", "--decision", "R"], ["Reject", ":4"]),
        (["resolve", "nightly", ""], ["pay", ":4"]),
        (["resolve", "nightly", "pay", "S"], ["Succeed", ":4"]),
        (["rerun", "nightly", "--from", "p"], ["publish", "pay", ":4"]),
        (["rerun", "nightly", "--from", "t"], [":4"]),
        (["submit", "--from-template", ""], ["etl", ":4"]),
        (["submit", "--dry-run", "s"], ["server", ":4"]),
        (["completion", ""], ["bash", "zsh", "fish", ":4"]),
        *(
            (([name, "no"], ["noon", ":4"]))
            for name in ("get", "watch", "logs", "explain", "graph", "history", "export")
        ),
        (["trace", "no"], ["noon", ":0"]),
        (["logs", "nightly", "t"], ["tidy", ":4"]),
        (["explain", "nightly", "p"], ["publish", "pay", ":4"]),
    ],
)
def test_names_are_completed_from_the_cluster(
    filled: ApiServer, capsys: pytest.CaptureFixture[str], words: list[str], found: list[str]
) -> None:
    assert sorted(completed(capsys, *words)) == sorted(found)


def test_files_are_left_to_the_shell(filled: ApiServer, capsys: pytest.CaptureFixture[str]) -> None:
    assert completed(capsys, "submit", "")[-1] == ":0"


def test_what_goes_wrong_is_silent(server: ApiServer, capsys: pytest.CaptureFixture[str]) -> None:
    server.refusals[AT] = (403, "no")
    assert completed(capsys, "cancel", "") == [":4"]
    assert completed(capsys, "approve", "nightly", "") == [":4"]


@pytest.mark.parametrize("content", ["", "{", "[]", "contexts: [1]", "current-context: x"])
def test_a_kubeconfig_that_is_none_is_silent(tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str) -> None:
    config = tmp_path / "config"
    config.write_text(content)
    assert completed(capsys, "cancel", "--kubeconfig", str(config), "") == [":4"]
    assert completed(capsys, "cancel", "--kubeconfig", str(tmp_path / "none"), "") == [":4"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_of_each_shell_asks_kipu(terminal: Terminal, shell: str) -> None:
    outcome = terminal.kipu("completion", shell)
    assert outcome.code == 0
    assert f"_KIPU_COMPLETE={shell}_complete" in outcome.out


def test_bash_takes_its_script(terminal: Terminal) -> None:
    script = terminal.kipu("completion", "bash").out
    subprocess.run(["bash", "-n"], input=script, text=True, check=True)


# -- the plugin --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", list(kipu.commands))
def test_every_help_has_examples_in_the_name_that_it_was_called_by(
    capsys: pytest.CaptureFixture[str], name: str
) -> None:
    for run, called in ((plugin.main, "kubectl kipu"), (main, "kipu")):
        with pytest.raises(SystemExit) as end:
            run([name, "--help"])
        assert end.value.code == 0
        text = capsys.readouterr().out
        assert text.startswith(f"Usage: {called} {name} ")
        examples = text.partition("Examples:\n")[2].partition("\n\n")[0].splitlines()
        assert examples
        assert all(line.startswith(f"  {called} {name}") for line in examples)
        assert ("'kubectl kipu" if called == "kipu" else "'kipu") not in text


@pytest.mark.parametrize("name", list(kipu.commands))
def test_every_example_is_one_that_the_command_takes(name: str) -> None:
    command = kipu.commands[name]
    assert isinstance(command, Command)
    for example in command.examples:
        typed = re.split(r"  #| [|<>] | && ", example)[0]
        words = ["-" if re.search(r"\.(yaml|jsonl)$", word) else word for word in shlex.split(typed)]
        command.make_context(name, words)


def test_a_hint_names_the_program_as_it_was_called(server: ApiServer, capsys: pytest.CaptureFixture[str]) -> None:
    put(server, stored(ASKS, flow_of(ASKS)))
    with ThreadPoolExecutor(1) as thread, pytest.raises(SystemExit):
        thread.submit(plugin.main, ["suspend", "nightly"]).result()
    assert "until 'kubectl kipu resume nightly'" in capsys.readouterr().err


def test_what_to_do_next_names_it_so_too(server: ApiServer, capsys: pytest.CaptureFixture[str]) -> None:
    flow = flow_of(ASKS)
    flow.succeed("build", after=SECOND)
    exports.recorded(server, flow, ASKS)
    with ThreadPoolExecutor(1) as thread, pytest.raises(SystemExit):
        thread.submit(plugin.main, ["explain", "nightly", "publish"]).result()
    assert "to do: 'kubectl kipu approve nightly publish'" in capsys.readouterr().out

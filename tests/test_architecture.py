"""The rules of docs/architecture.md that a tool can hold, read off the source and never off what it does.

import-linter holds the order of the layers; here is the rest. Each test lists what breaks its rule. An exception
stands beside its rule, by name and with its reason; there is no other way round.
"""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

pytestmark = pytest.mark.lint
ROOT = Path(__file__).parents[1]
OPERATOR = ROOT / "operator"
KIPU = OPERATOR / "kipu"

Function = ast.FunctionDef | ast.AsyncFunctionDef

FUNCTION_LINES_MAX = 40
FILE_LINES_MAX = 400
LONG_FUNCTIONS: dict[str, str] = {}  # "path::name": why, such as a flat `match` over a union
LONG_FILES = {
    "tests/eventlog/test_configmaps.py": "a list of small cases of one protocol, read from the top like a table",
    "tests/kube/test_watch.py": "a list of small cases of one protocol, each a fault and what must not be lost by it",
    "tests/core/audit.py": "one small rule after another, one for each kind of event",
    "tests/eventlog/recorded.py": "histories as data, none of which is ever changed",
    "tests/api/test_bounds.py": "a list of small cases, one for each bound of the API",
}

CORE_IMPORTS = {
    "__future__",
    "bisect",
    "collections",
    "collections.abc",
    "dataclasses",
    "difflib",
    "enum",
    "hashlib",
    "heapq",
    "itertools",
    "json",
    "re",
    "typing",
    "unicodedata",
}
# Built-in functions whose answer is not the same everywhere, or that reach outside.
IMPURE_CALLS = {"float", "hash", "id", "open", "print", "input", "eval", "exec", "vars", "globals", "set"}

THIRD_PARTIES = {
    "kopf": {"shell/handlers.py", "shell/main.py"},
    "aiohttp": {"shell/kube_http.py", "shell/server.py", "cli/ui/"},
    "pydantic": {"api/", "shell/settings.py"},
    "pydantic_core": {"api/", "shell/settings.py"},
    "kubernetes": {"cli/"},
    "cel_expr_python": {"api/cel.py"},
    "cronsim": {"api/schedules.py"},
    "google": {"cli/otlp.py"},
    "opentelemetry": {"cli/otlp.py"},
    "uvloop": {"shell/handlers.py", "shell/main.py"},
    "prometheus_client": {"shell/telemetry.py", "shell/server.py"},
}
CATCH_ALL = {
    "operator/kipu/shell/engine.py::_session",  # the boundary of one Workflow
    "operator/kipu/shell/cron.py::_look",  # the boundary of one CronWorkflow
}
BETWEEN_SESSIONS = {"_sweep", "_serve", "_stall"}  # of the engine: no actor runs there, so nothing waits behind it
MAY_SLEEP = {
    "tests/fakes/": "the latency of a fake server, in virtual time",
    "tests/conformance/": "waits on a condition of a real API server, which no virtual time moves",
    "tests/kube/test_http.py": "a slow server behind a real socket",
    "tests/simulation/": "the time of a simulated world, which is virtual",
    "tests/zoo/": "a mutant that sleeps is there to be caught",
}


def path_of(file: Path) -> str:
    return file.relative_to(ROOT).as_posix()


def modules(*folders: Path) -> list[Path]:
    return sorted(file for folder in folders for file in folder.rglob("*.py"))


@cache
def tree_of(file: Path) -> ast.Module:
    return ast.parse(file.read_text())


def functions(file: Path) -> Iterator[Function]:
    return (node for node in ast.walk(tree_of(file)) if isinstance(node, Function))


def imports(file: Path) -> Iterator[str]:
    """Absolute imports, wherever in the file they stand."""
    for node in ast.walk(tree_of(file)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.module or ""


def calls(tree: ast.AST) -> Iterator[tuple[str, ast.Call]]:
    """Each call with the dotted name of what is called."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


# -- the core ----------------------------------------------------------------------------------------


def test_the_core_imports_nothing_but_itself_and_a_few_modules_of_the_standard_library() -> None:
    found = {(path_of(file), name) for file in modules(KIPU / "core") for name in imports(file)}
    assert {(path, name) for path, name in found if name not in CORE_IMPORTS} == set()


def test_the_list_of_what_the_core_may_import_holds_nothing_that_it_does_not_need() -> None:
    assert {name for file in modules(KIPU / "core") for name in imports(file)} >= CORE_IMPORTS - {"collections.abc"}


def test_the_core_calls_nothing_whose_answer_differs_between_processes() -> None:
    found = [(path_of(file), name) for file in modules(KIPU / "core") for name, _ in calls(tree_of(file))]
    # A set may be kept for membership; to build one is forbidden, so that none is walked over by mistake.
    assert [(path, name) for path, name in found if name in IMPURE_CALLS and not path.endswith("graph.py")] == []


def test_the_core_knows_no_floats() -> None:
    found = []
    for file in modules(KIPU / "core"):
        for node in ast.walk(tree_of(file)):
            division = isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div)
            if division or (isinstance(node, ast.Constant) and isinstance(node.value, float)):
                found.append((path_of(file), node.lineno))  # type: ignore[attr-defined]
    assert found == []


# -- the layers --------------------------------------------------------------------------------------


@pytest.mark.parametrize("package", THIRD_PARTIES)
def test_a_third_party_package_is_used_only_where_it_belongs(package: str) -> None:
    users = {
        file.relative_to(KIPU).as_posix()
        for file in modules(KIPU)
        for name in imports(file)
        if name.split(".")[0] == package
    }
    assert {user for user in users if not user.startswith(tuple(THIRD_PARTIES[package]))} == set()


def test_imports_are_relative_inside_a_layer_and_absolute_across() -> None:
    found = []
    for file in modules(KIPU):
        layer = file.relative_to(KIPU).parts[0]
        found += [(path_of(file), name) for name in imports(file) if name.startswith(f"kipu.{layer}")]
        for node in ast.walk(tree_of(file)):
            if isinstance(node, ast.ImportFrom) and node.level > len(file.relative_to(KIPU).parts) - 1:
                found.append((path_of(file), "." * node.level + (node.module or "")))
    assert found == []


def test_our_folder_never_shadows_the_module_operator_of_the_standard_library() -> None:
    assert not (OPERATOR / "__init__.py").exists()


# -- house style -------------------------------------------------------------------------------------


def test_every_module_says_what_it_is() -> None:
    silent = [path_of(file) for file in modules(OPERATOR) if not ast.get_docstring(tree_of(file))]
    assert silent == []


def test_every_function_fits_a_screen() -> None:
    lengths = {
        f"{path_of(file)}::{function.name}": (function.end_lineno or 0) - function.lineno + 1
        for file in modules(OPERATOR, ROOT / "tests")
        for function in functions(file)
    }
    long = {name: lines for name, lines in lengths.items() if lines > FUNCTION_LINES_MAX}
    assert {name: lines for name, lines in long.items() if name not in LONG_FUNCTIONS} == {}


def test_every_file_can_be_read_in_one_sitting() -> None:
    lengths = {path_of(file): len(file.read_text().splitlines()) for file in modules(OPERATOR, ROOT / "tests")}
    long = {path: lines for path, lines in lengths.items() if lines > FILE_LINES_MAX}
    assert {path: lines for path, lines in long.items() if path not in LONG_FILES} == {}


def test_only_the_boundary_of_the_process_catches_everything() -> None:
    found = set()
    for file in modules(OPERATOR):
        inside = {id(node): function.name for function in functions(file) for node in ast.walk(function)}
        for node in ast.walk(tree_of(file)):
            if isinstance(node, ast.ExceptHandler) and _catches_all(node.type):
                found.add(f"{path_of(file)}::{inside.get(id(node), '')}")
        found |= {
            f"{path_of(file)}::suppress"
            for name, call in calls(tree_of(file))
            if name.endswith("suppress") and any(_catches_all(argument) for argument in call.args)
        }
    assert found <= CATCH_ALL


def _catches_all(caught: ast.expr | None) -> bool:
    names = (
        {"None"} if caught is None else {ast.unparse(node) for node in ast.walk(caught) if isinstance(node, ast.expr)}
    )
    return bool(names & {"None", "Exception", "BaseException"})


def test_the_loops_of_the_operator_are_those_of_uvloop() -> None:
    """ADR 0020."""
    found = [
        (path_of(file), function.name)
        for file in modules(KIPU / "shell")
        for function in functions(file)
        for name, _ in calls(function)
        if name == "asyncio.run"
    ]
    assert found == []


def test_nothing_sleeps_where_workflows_are_decided() -> None:
    found = []
    for file in [*modules(KIPU / "core"), KIPU / "shell" / "actor.py", KIPU / "shell" / "engine.py"]:
        allowed = BETWEEN_SESSIONS if file.name == "engine.py" else set()
        for function in functions(file):
            found += [(path_of(file), function.name) for name, _ in calls(function) if name.endswith("sleep")]
        found = [(path, name) for path, name in found if name not in allowed]
    assert found == []


def test_no_test_sleeps() -> None:
    found = []
    for file in modules(ROOT / "tests"):
        virtual = "looptime" in file.read_text()  # then time is not passed but set
        for name, call in calls(tree_of(file)):
            harmless = name == "asyncio.sleep" and (virtual or ast.unparse(call.args[0]) == "0")
            if name.split(".")[-1] == "sleep" and not harmless and not path_of(file).startswith(tuple(MAY_SLEEP)):
                found.append((path_of(file), call.lineno))
    assert found == []


# -- what is in the repository -----------------------------------------------------------------------

# In parts, so that this file does not name what it forbids.
REGISTRIES = tuple(
    ".".join(parts)
    for parts in [
        ("pypi", "org"),
        ("python" + "hosted", "org"),
        ("proxy", "golang", "org"),
        ("sum", "golang", "org"),
        ("npmjs", "org"),
        ("crates", "io"),
        ("registry", "k8s", "io"),
        ("conda", "anaconda", "org"),
    ]
)
HOMES = re.compile(r"(?<![\w\"'})$.])/(?:" + "|".join(["home", "Users", "root"]) + r")/\w")


def tracked() -> Iterator[tuple[str, str]]:
    """Each tracked file that is text, with its text."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if listed.returncode != 0:
        pytest.skip("not a clone")
    for path in listed.stdout.decode().split("\0"):
        if path and (ROOT / path).is_file():
            yield path, (ROOT / path).read_bytes().decode(errors="replace")


def test_no_file_names_a_package_registry() -> None:
    found = [(path, host) for path, text in tracked() for host in REGISTRIES if host in text]
    assert found == []


def test_no_file_knows_the_machine_it_was_written_on() -> None:
    here = [f"{ROOT}/", *([f"{ROOT.parent}/"] if len(ROOT.parent.parts) > 1 else [])]
    found = [(path, place) for path, text in tracked() for place in [*here, *HOMES.findall(text)] if place in text]
    assert found == []

"""The reader of pages and the judge of commands: what they find, and what they do not let pass."""

from __future__ import annotations

import pytest

from tests.docs_commands import pages, programs, shell

PAGE = """# One thing

Text with [a link](other.md#there), `[none](gone.md)` and [this](#one-thing).

    make check     # a comment, which isn't code
    kipu get nightly \\
      -o json | jq .phase

    its answer

    kubectl get pods

## `kipu`, again: [x](y.md)

## One thing

<!-- not run: it needs a registry -->

```sh
echo "$(kubectl get pods)" > pods.txt     # exit code 3
```

```yaml
# first.yaml
kind: Workflow
```
"""


def test_blocks_are_found_with_their_lines_and_what_is_said_before_them() -> None:
    indented, fenced, manifest = pages.blocks("page.md", PAGE)
    assert (str(indented), shell.is_shell(indented)) == ("page.md:5", True)
    assert (str(fenced), fenced.language, fenced.why_not_run) == ("page.md:20", "sh", "it needs a registry")
    assert (pages.file_name(manifest), manifest.why_not_run, shell.is_shell(manifest)) == ("first.yaml", "", False)


def test_links_and_anchors_are_those_of_the_prose() -> None:
    assert [(link.line, link.path, link.anchor) for link in pages.links("page.md", PAGE)] == [
        (3, "other.md", "there"),
        (3, "", "one-thing"),
        (13, "y.md", ""),
    ]
    assert pages.anchors(PAGE) == {"one-thing", "kipu-again-x", "one-thing-1"}


def test_a_line_that_goes_on_is_one_and_an_answer_is_none() -> None:
    indented, fenced, _ = pages.blocks("page.md", PAGE)
    assert [(line.number, line.exit_code) for line in shell.lines(indented)] == [(5, 0), (6, 0), (11, 0)]
    assert shell.answers(indented) == ["its answer"]
    assert [line.exit_code for line in shell.lines(fenced)] == [3]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("kipu get a -o json | jq -r '.x | .y' # why", [["kipu", "get", "a", "-o", "json"], ["jq", "-r", ".x | .y"]]),
        ("kipu watch a && kubectl apply -f b.yaml", [["kipu", "watch", "a"], ["kubectl", "apply", "-f", "b.yaml"]]),
        ("kipu graph a -o svg > a.svg 2>&1", [["kipu", "graph", "a", "-o", "svg"]]),
        ("uid=$(kubectl get kw a -o name)", [["kubectl", "get", "kw", "a", "-o", "name"]]),
        ('eval "$(e2e/cluster/env.sh)"', [["e2e/cluster/env.sh"], ["eval", "$(e2e/cluster/env.sh)"]]),
        ("make chaos [KILLS=200 REPLICAS=as installed]", [["make", "chaos"]]),
        ("CLUSTER=sim make scale", [["make", "scale"]]),
        ("jq . a | while read -r b; do", [["jq", ".", "a"], ["read", "-r", "b"]]),
        ("done", []),
    ],
)
def test_every_command_of_a_line_is_found(text: str, found: list[list[str]]) -> None:
    assert shell.commands(text) == found


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("kipu gte nightly", "there is no command 'kipu gte'"),
        ("kipu get", "NAME"),
        ("kipu get nightly --colour", "--colour"),
        ("kipu get nightly -o xml", "'xml'"),
        ("kipu get nightly and more", "unexpected"),
        ("kipu history nightly --at first", "'first'"),
        ("kubectl kipu gte nightly", "there is no command 'kipu gte'"),
        ("kubectl run nightly", "no verb of kubectl"),
        ("kubectl apply -f examples/none.yaml", "there is no file 'examples/none.yaml'"),
        ("helm upgrade kipu charts/other", "no chart"),
        ("helm push kipu", "no verb of helm"),
        ("make chek", "no target 'chek'"),
        ("bench/none.sh", "no program"),
        ("argo submit", "no program"),
    ],
)
def test_a_command_that_could_not_be_given_is_noticed(text: str, said: str) -> None:
    (command,) = shell.commands(text)
    assert said in programs.fault(command)


@pytest.mark.parametrize(
    "text",
    [
        "kipu export NAME -n NAMESPACE --output NAME.jsonl",
        "kipu get nightly --help",
        "kipu submit mine.yaml --param date=2026-11-23 --watch",
        "kubectl -n kipu-system get lease kipu",
        "kubectl apply -f mine.yaml -f examples/diamond.yaml",
        "helm upgrade --install kipu charts/kipu",
        "make cluster-up install CLUSTER=sim",
        ".venv/bin/pytest -q",
    ],
)
def test_a_command_that_could_be_given_passes(text: str) -> None:
    (command,) = shell.commands(text)
    assert programs.fault(command, frozenset({"mine.yaml"})) == ""

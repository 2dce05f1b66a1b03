"""The CRD and the Jobs on a real API server and a real kubelet. Needs no operator.

The CRD may be looser than the parser, which has the last word, but never stricter.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest

from kipu.api.crd import render
from kipu.api.crd_kinds import RESOURCES
from kipu.api.definition import parse
from kipu.api.jobs import AttemptRef, job_manifest, placeholder_manifest
from tests.api.specs import spec
from tests.api.test_bounds import RULES
from tests.api.test_examples import EXAMPLES
from tests.chart.tools import attempt, create, namespace, run

pytestmark = pytest.mark.cluster

# What the CRD cannot say: it is for the admission policy or for the operator.
PARSER_ALONE = {
    "a param of a sub-workflow is whole",
    "a param of a sub-workflow once",
    "a sub-workflow has no exit code",
    "a sub-workflow has no outputs",
    "a sub-workflow says nothing of what it runs",
    "an expression in a param of a sub-workflow",
    "an expression is a whole param",
    "an input goes upstream",
    "an input has run",
    "an input is a step",
    "an input keeps files",
    "an input once",
    "at most 250 folders",
    "inputs need a workspace",
    "no workspace beside adoption",
    "the volume is Kipu's",
    "10,000 expressions",
    "External and a queue",
    "External and the queue of all",
    "External has no startTimeout",
    "KIPU_ is ours in templates too",
    "KIPU_ is ours",
    "a condition yields true or false",
    "a default image alone says nothing",
    "a dependency once",
    "a name over both lists",
    "a param has a value",
    "a param is whole",
    "a reference goes upstream",
    "a step for failures is not adopted",
    "a step is adopted once",
    "a template may say it",
    "a template's image counts",
    "a truth is no number",
    "an adopted fan-out has no outputs",
    "an adopted step exists",
    "an adopted step's needs are adopted",
    "an approval may be conditional",
    "an approval runs nothing",
    "an expression in a variable",
    "an expression in an argument",
    "an expression of items yields a list",
    "an image is known",
    "an item that the log can hold",
    "and no others",
    "attemptTimeout",
    "command or the template's args",
    "containers are a list",
    "containers have different names",
    "containers have names",
    "dependencies exist",
    "finally names its own place",
    "finally waits for nobody before it",
    "forEach has items or a count",
    "forEach needs items",
    "in their types",
    "initial to max",
    "item is of a fan-out",
    "items of all fan-outs",
    "names differ",
    "no cycle",
    "no expression in a script",
    "no expression in a template",
    "no expression in an image",
    "no item before there are some",
    "no step waits for itself",
    "nobody is asked about items",
    "nobody waits for finally",
    "numbers have 64 bits",
    "onUnknown is for External",
    "our labels are ours",
    "outputs are one pod's",
    "outputs have names of their own",
    "params have names of their own",
    "params of 64 KiB",
    "restartPolicy is Never",
    "script or args",
    "script or command",
    "script or the template's command",
    "something runs",
    "startTimeout",
    "the defaults may say it",
    "the outcome is known at the end",
    "the same in the defaults",
    "the size of all items",
    "the size of an item",
    "timeout above zero",
    "timeout to a year",
    "upstream through others",
    "what a fan-out has written is a list",
    "what is adopted brings its outputs",
    "what passes through is composed Unicode",
}


@pytest.fixture(scope="module", autouse=True)
def crd() -> None:
    # As Helm, which otherwise could not upgrade the CRD of an installed chart any more: the fields would be kubectl's.
    apply = ("kubectl", "apply", "--server-side", "--force-conflicts", "--field-manager=helm", "--filename=-")
    for custom in RESOURCES:
        run(*apply, stdin=render(custom))
        run("kubectl", "wait", "--for=condition=Established", f"crd/{custom.plural}.kipu.dev")


@pytest.fixture(scope="module")
def here() -> Iterator[str]:
    # What looks like the operator's Job is refused from anybody else, where the chart is installed.
    with namespace(**{"kipu.dev/log-guard": "off"}) as name:
        yield name


def workflow(raw: dict[str, Any], name: str = "bounds") -> dict[str, Any]:
    return {"apiVersion": "kipu.dev/v1alpha1", "kind": "Workflow", "metadata": {"name": name}, "spec": raw}


def test_the_exceptions_are_rules() -> None:
    assert set(RULES) >= PARSER_ALONE


def test_what_the_parser_takes_the_crd_takes(here: str) -> None:
    sound = [workflow(taken) for taken, _, _ in RULES.values() if len(taken["steps"]) <= 1_000]
    assert len(sound) == len(RULES) - 3  # three have more steps
    taken = create({"apiVersion": "v1", "kind": "List", "items": sound}, "--namespace", here, "--dry-run=server")
    assert taken.stderr == ""
    assert taken.stdout.count("created") == len(sound)


@pytest.mark.parametrize("rule", sorted(set(RULES) - PARSER_ALONE))
def test_what_the_crd_can_refuse_it_refuses_by_its_path(here: str, rule: str) -> None:
    _, wrong, message = RULES[rule]
    refused = create(workflow(wrong), "--namespace", here, "--dry-run=server")
    assert refused.returncode != 0
    path = message.partition(":")[0]
    assert path in refused.stderr or path.rpartition(".")[2] in refused.stderr


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_is_taken(here: str, path: Any) -> None:
    run("kubectl", "create", "--namespace", here, "--dry-run=server", f"--filename={path}")


@pytest.mark.parametrize(("length", "taken"), [(63, True), (64, False)])
def test_a_workflows_name_fits_a_label(here: str, length: int, taken: bool) -> None:
    raw = spec({"name": "a", "image": "i"})
    answer = create(workflow(raw, "n" * length), "--namespace", here, "--dry-run=server")
    assert (answer.returncode == 0) is taken
    assert taken or "Too long: may not be more than 63" in answer.stderr


def test_a_shutdown_only_escalates(here: str) -> None:
    def patch(shutdown: object) -> str:
        text = json.dumps({"spec": {"shutdown": shutdown}})
        command = ("kubectl", "patch", "--namespace", here, "workflow.kipu.dev/ending", "--type=merge")
        return attempt(*command, "--patch", text).stderr

    # An image that cannot be: where an operator is installed, nothing of this will run.
    raw = spec({"name": "a", "image": "kipu.invalid/none"})
    assert create(workflow(raw, "ending"), "--namespace", here).returncode == 0
    assert patch({"mode": "Cancel"}) == ""
    assert patch({"mode": "Terminate"}) == ""
    assert "a shutdown may only escalate, from Drain to Cancel to Terminate" in patch({"mode": "Cancel"})
    assert "cannot be taken back" in patch(None)
    assert patch({"mode": "Cancel", "run": 2}) == ""  # another run


def test_explain_says_what_a_field_is_for() -> None:
    steps = run("kubectl", "explain", "workflow.spec.steps")
    words = " ".join(steps.split())
    assert "One node of the graph: a Job, tried until it has succeeded" in words
    assert "enum: AllSucceeded, AllFinished, AnyFailed" in words
    assert "name <string> -required-" in words
    backoff = " ".join(run("kubectl", "explain", "workflow.spec.steps.retry.backoff.jitter").split())
    assert "which spreads a herd" in backoff
    adopt = " ".join(run("kubectl", "explain", "workflow.spec.adopt").split())
    assert "because they have succeeded in another Workflow" in adopt
    assert "workflowUid <string> -required-" in adopt


def attempt_of(here: str, name: str) -> AttemptRef:
    return AttemptRef(
        namespace=here,
        workflow_name="w",
        workflow_uid="11111111-2222-4333-8444-555555555555",
        run=1,
        step=name,
        attempt=1,
        job_name=f"w-{name}",
        intent=f"3:{'ab' * 32}",
        attempt_timeout_ms=60_000,
    )


def unowned(manifest: dict[str, object]) -> dict[str, Any]:
    """The collector takes what an owner that there is not owns."""
    copied: Any = copy.deepcopy(manifest)
    del copied["metadata"]["ownerReferences"]
    return dict(copied)


def test_a_script_runs_as_it_was_written(here: str) -> None:
    script = """
    [ "$(echo a)" = a ]
    [ $$ = 1 ]                   # the pod's first process
    [ "$GREETING" = "hello $KIPU_STEP" ]
    [ "$KIPU_ATTEMPT/$KIPU_RUN" = 1/1 ]
    case $- in *e*) ;; *) exit 1 ;; esac
    """
    env = [{"name": "echo", "value": "expanded"}, {"name": "GREETING", "value": "hello $(KIPU_STEP)"}]
    raw = spec({"name": "script", "image": "busybox:1.36", "script": script, "env": env})
    definition = parse(raw)
    manifest = job_manifest(definition, definition.steps[0], attempt_of(here, "script"))
    assert create(unowned(manifest)).stderr == ""
    run("kubectl", "wait", "--namespace", here, "--for=condition=Complete", "--timeout=50s", "job/w-script")


def test_a_placeholder_is_taken_and_never_runs(here: str) -> None:
    assert create(unowned(placeholder_manifest(attempt_of(here, "gone")))).stderr == ""
    run("kubectl", "wait", "--namespace", here, "--for=condition=Suspended", "--timeout=50s", "job/w-gone")
    assert run("kubectl", "get", "pods", "--namespace", here, "--selector=job-name=w-gone", "--output=name") == ""

"""Every rule of the spec: one manifest at its bound is taken, one past it is refused with just this message."""

from __future__ import annotations

from typing import Any

import pytest

from kipu.api.v1alpha1_base import PRIORITY_MAX
from kipu.api.v1alpha1_control import ANSWERS_MAX, TEXT_LENGTH_MAX
from kipu.core.definition import ATTEMPTS_MAX, FINALLY_MAX, STEPS_MAX
from tests.api.specs import adopt, adopted, problems, spec, step, without

BARE = {"name": "only"}
HINT_QUOTES = "(put it in quotes)"
NAME_HINT = "(use lower-case letters, digits and '-', with no '-' at either end)"
SCRIPT = "expressions are not put into scripts: a value could then run as a command"
SCRIPT_HINT = '(pass the value through env and write "$NAME")'
NOTHING_TO_RUN = (
    "spec.steps[0]: does not say what to run "
    "(give it a script, a command, an image, or a template with a container named 'main')"
)


def one(**fields: Any) -> dict[str, Any]:
    return spec(step("only", **fields))


def bare(**fields: Any) -> dict[str, Any]:
    return spec(BARE | fields)


def main(**fields: Any) -> dict[str, Any]:
    return {"spec": {"containers": [{"name": "main", **fields}]}}


CLAIM = {"spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}}
QUEUED = {"metadata": {"labels": {"kueue.x-k8s.io/queue-name": "a"}}}
SHARED = {"claimName": "shared"}


def reading(*inputs: str, **more: Any) -> dict[str, Any]:
    """A workspace in which the last step waits for all others but the first, and reads these."""
    steps = [step("a"), step("b"), step("many", forEach={"count": 250}), step("c", wait=None)]
    steps += [{"name": "w", "wait": {"duration": "1s"}}, step("several", job={"completions": 2})]
    needs = [one["name"] for one in steps[1:]]
    return spec(*steps, step("last", dependsOn=needs, inputs=list(inputs)), workspace=SHARED, **more)


TYPED = [{"name": "n", "type": "Int"}, {"name": "j", "type": "Json"}]
MANY = [step(f"s{number}") for number in range(STEPS_MAX)]
NESTED: dict[str, Any] = {"name": "a", "workflow": {"templateRef": {"name": "t"}}}


def given(*params: dict[str, Any]) -> dict[str, Any]:
    return {"name": "a", "workflow": {"templateRef": {"name": "t"}, "params": list(params)}}


RULES: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "at least one step": (spec(), {"steps": []}, "spec.steps: must not be empty"),
    "steps must be given": (spec(), {}, "spec.steps: is required"),
    "at most 5,000 steps": (
        spec(*(step(f"s{n}") for n in range(STEPS_MAX))),
        spec(*(step(f"s{n}") for n in range(STEPS_MAX + 1))),
        "spec.steps: must have at most 5000 entries",
    ),
    "steps are a list": (spec(), {"steps": {}}, "spec.steps: must be a list, not an object"),
    "a step is an object": (
        spec(),
        {"steps": ["a"]},
        "spec.steps[0]: must be an object, not a string (write {name: ...})",
    ),
    "an output is an object": (
        spec(),
        {"steps": [{"name": "a", "script": "true", "outputs": ["rows"]}]},
        "spec.steps[0].outputs[0]: must be an object, not a string (write {name: ..., type: ...})",
    ),
    "parallelism from 1": (spec(parallelism=1), spec(parallelism=0), "spec.parallelism: must be at least 1"),
    "parallelism to 10,000": (
        spec(parallelism=10_000),
        spec(parallelism=10_001),
        "spec.parallelism: must be at most 10000",
    ),
    "parallelism is whole": (
        spec(parallelism=2),
        spec(parallelism=2.5),
        "spec.parallelism: must be a whole number, not a fraction",
    ),
    "a number is not text": (
        spec(parallelism=2),
        spec(parallelism="2"),
        "spec.parallelism: must be a whole number, not a string",
    ),
    "effects": (
        one(effects="External"),
        one(effects="external"),
        "spec.steps[0].effects: must be one of Pure, Idempotent, External, not 'external' (did you mean External?)",
    ),
    "onUnknown is for External": (
        one(effects="External", onUnknown="Fail"),
        one(onUnknown="Fail"),
        "spec.steps[0].onUnknown: says something of External effects only (set effects: External, or leave it out)",
    ),
    "External has no startTimeout": (
        one(effects="External", attemptTimeout="1m"),
        one(effects="External", startTimeout="1m"),
        "spec.steps[0].startTimeout: has no meaning beside effects: External, whose start is the record of its Job "
        "(set attemptTimeout, which counts from then)",
    ),
    "nobody is asked about items": (
        one(effects="External", onUnknown="Fail", forEach={"count": 2}),
        one(effects="External", onUnknown="Ask", forEach={"count": 2}),
        "spec.steps[0].onUnknown: nobody can be asked about single items: set onUnknown to Fail or Retry",
    ),
    "External and a queue": (
        one(effects="External", template={"metadata": {"labels": {"team": "a"}}}),
        one(effects="External", template={"metadata": {"labels": {"kueue.x-k8s.io/queue-name": "a"}}}),
        "spec.steps[0].template.metadata.labels[kueue.x-k8s.io/queue-name]: "
        "a queue and effects: External both decide when the Job may run",
    ),
    "External and the queue of all": (
        spec(step("a", template=QUEUED), step("b", effects="External")),
        spec(step("b", effects="External"), defaults={"image": "i", "template": QUEUED}),
        "spec.steps[0].effects: External and a queue, that of defaults.template, both decide when the Job may run "
        "(put the label kueue.x-k8s.io/queue-name into the templates of the other steps)",
    ),
    "a resolution is of an attempt": (
        spec(resolutions=[]),
        spec(resolutions=[{"step": "a", "attempt": 0, "decision": "Succeed", "by": "ann"}]),
        "spec.resolutions[0].attempt: must be at least 1",
    ),
    "a resolution decides": (
        spec(resolutions=[]),
        spec(resolutions=[{"step": "a", "attempt": 1, "decision": "Retry", "by": "a" * 254}]),
        "spec.resolutions[0].by: must have at most 253 characters",
    ),
    "100 resolutions": (
        spec(resolutions=[]),
        spec(resolutions=[{"step": "a", "attempt": 1, "decision": "Retry", "by": "ann"}] * 101),
        "spec.resolutions: must have at most 100 entries",
    ),
    "a job of one pod at least": (
        one(job={"completions": 1, "parallelism": 1}),
        one(job={"completions": 0}),
        "spec.steps[0].job.completions: must be at least 1",
    ),
    "a job of 10,000 pods at most": (
        one(job={"completions": 10_000, "parallelism": 10_000}),
        one(job={"parallelism": 10_001}),
        "spec.steps[0].job.parallelism: must be at most 10000",
    ),
    "completionMode": (
        one(job={"completionMode": "Indexed"}),
        one(job={"completionMode": "indexed"}),
        "spec.steps[0].job.completionMode: must be one of NonIndexed, Indexed, not 'indexed' (did you mean Indexed?)",
    ),
    "timeout above zero": (spec(timeout="1ms"), spec(timeout="0s"), "spec.timeout: must be longer than zero"),
    "timeout to a year": (
        spec(timeout="8760h"),
        spec(timeout="8760h1ms"),
        "spec.timeout: must be at most 365 days (8760h)",
    ),
    "timeout is a duration": (
        spec(timeout="1h30m"),
        spec(timeout="5 min"),
        "spec.timeout: '5 min' is not a duration (write it like 90s, 1h30m or 500ms)",
    ),
    "a duration is text": (
        spec(timeout="90s"),
        spec(timeout=90),
        f"spec.timeout: must be a string, not a number {HINT_QUOTES}",
    ),
    "onFailure": (
        spec(onFailure="Continue"),
        spec(onFailure="continue"),
        "spec.onFailure: must be one of FinishRunning, CancelRunning, Continue, not 'continue' "
        "(did you mean Continue?)",
    ),
    "shutdown needs a mode": (
        spec(shutdown={"mode": "Cancel"}),
        spec(shutdown={"run": 1}),
        "spec.shutdown.mode: is required",
    ),
    "shutdown modes": (
        spec(shutdown={"mode": "Terminate", "run": 1}),
        spec(shutdown={"mode": "Stop"}),
        "spec.shutdown.mode: must be one of Drain, Cancel, Terminate, not 'Stop'",
    ),
    "runs count from 1": (
        spec(shutdown={"mode": "Cancel", "run": 1}),
        spec(shutdown={"mode": "Cancel", "run": 0}),
        "spec.shutdown.run: must be at least 1",
    ),
    "names to 63": (spec(step("a" * 63)), spec(step("a" * 64)), "spec.steps[0].name: must have at most 63 characters"),
    "names are labels": (spec(step("a-1")), spec(step("a-")), f"spec.steps[0].name: 'a-' is not a name {NAME_HINT}"),
    "names are lower case": (spec(step("a")), spec(step("A")), f"spec.steps[0].name: 'A' is not a name {NAME_HINT}"),
    "a step has a name": (spec(step("a")), spec(without(step("a"), "name")), "spec.steps[0].name: is required"),
    "names differ": (
        spec(step("a"), step("b")),
        spec(step("a"), step("a")),
        "spec.steps[1].name: 'a' is already the name of spec.steps[0] (give every step a name of its own)",
    ),
    "dependencies exist": (
        spec(step("fetch"), step("load", dependsOn=["fetch"])),
        spec(step("fetch"), step("load", dependsOn=["fetsh"])),
        "spec.steps[1].dependsOn[0]: there is no step 'fetsh' (did you mean 'fetch'?)",
    ),
    "no step waits for itself": (
        one(dependsOn=[]),
        one(dependsOn=["only"]),
        "spec.steps[0].dependsOn[0]: step 'only' waits for itself (remove it)",
    ),
    "a dependency once": (
        spec(step("a"), step("b", dependsOn=["a"])),
        spec(step("a"), step("b", dependsOn=["a", "a"])),
        "spec.steps[1].dependsOn[1]: 'a' is listed twice (remove one of the two)",
    ),
    "no cycle": (
        spec(step("a"), step("b", dependsOn=["a"])),
        spec(step("a", dependsOn=["b"]), step("b", dependsOn=["a"])),
        "spec.steps[0].dependsOn: the steps wait for each other: a -> b -> a (remove one of these dependencies)",
    ),
    "runWhen": (
        one(runWhen="AllFinished"),
        one(runWhen="Always"),
        "spec.steps[0].runWhen: must be one of AllSucceeded, AllFinished, AnyFailed, not 'Always'",
    ),
    "allowFailure": (
        one(allowFailure=True),
        one(allowFailure="yes"),
        "spec.steps[0].allowFailure: must be true or false, not a string",
    ),
    "attempts from 1": (
        one(retry={"maxAttempts": 1}),
        one(retry={"maxAttempts": 0}),
        "spec.steps[0].retry.maxAttempts: must be at least 1",
    ),
    "attempts to 100": (
        one(retry={"maxAttempts": ATTEMPTS_MAX}),
        one(retry={"maxAttempts": ATTEMPTS_MAX + 1}),
        "spec.steps[0].retry.maxAttempts: must be at most 100",
    ),
    "factor from 1": (
        one(retry={"backoff": {"factor": 1}}),
        one(retry={"backoff": {"factor": 0}}),
        "spec.steps[0].retry.backoff.factor: must be at least 1",
    ),
    "factor to 10": (
        one(retry={"backoff": {"factor": 10}}),
        one(retry={"backoff": {"factor": 11}}),
        "spec.steps[0].retry.backoff.factor: must be at most 10",
    ),
    "factor is whole": (
        one(retry={"backoff": {"factor": 2}}),
        one(retry={"backoff": {"factor": 1.5}}),
        "spec.steps[0].retry.backoff.factor: must be a whole number, not a fraction",
    ),
    "jitter": (
        one(retry={"backoff": {"jitter": "None"}}),
        one(retry={"backoff": {"jitter": False}}),
        "spec.steps[0].retry.backoff.jitter: must be one of Full, None, not true or false",
    ),
    "initial to max": (
        one(retry={"backoff": {"initial": "5m"}}),
        one(retry={"backoff": {"initial": "301s"}}),
        "spec.steps[0].retry.backoff: initial (5m1s) is longer than max (5m) (raise max, or lower initial)",
    ),
    "the same in the defaults": (
        spec(defaults={"retry": {"backoff": {"initial": "1s", "max": "1s"}}}),
        spec(defaults={"retry": {"backoff": {"initial": "2s", "max": "1s"}}}),
        "spec.defaults.retry.backoff: initial (2s) is longer than max (1s) (raise max, or lower initial)",
    ),
    "exit codes to 255": (
        one(retry={"nonRetryableExitCodes": [1, 255]}),
        one(retry={"nonRetryableExitCodes": [1, 256]}),
        "spec.steps[0].retry.nonRetryableExitCodes[1]: must be at most 255",
    ),
    "exit code 0 is no failure": (
        one(retry={"nonRetryableExitCodes": [1]}),
        one(retry={"nonRetryableExitCodes": [0]}),
        "spec.steps[0].retry.nonRetryableExitCodes[0]: must be at least 1",
    ),
    "startTimeout": (
        one(startTimeout="5m"),
        one(startTimeout="0ms"),
        "spec.steps[0].startTimeout: must be longer than zero",
    ),
    "attemptTimeout": (
        one(attemptTimeout="5m"),
        one(attemptTimeout="99999h"),
        "spec.steps[0].attemptTimeout: must be at most 365 days (8760h)",
    ),
    "the step's timeout": (
        one(timeout="500ms"),
        one(timeout="-1s"),
        "spec.steps[0].timeout: '-1s' is not a duration (write it like 90s, 1h30m or 500ms)",
    ),
    "something runs": (bare(script="true", image="i"), spec(BARE), NOTHING_TO_RUN),
    "a default image alone says nothing": (
        spec(BARE | {"args": ["x"]}, defaults={"image": "i"}),
        spec(BARE, defaults={"image": "i"}),
        NOTHING_TO_RUN,
    ),
    "a template may say it": (
        bare(template=main(image="i")),
        bare(template={"spec": {"containers": [{"name": "worker", "image": "i"}]}}),
        NOTHING_TO_RUN,
    ),
    "the defaults may say it": (
        spec(BARE, defaults={"template": main(image="i", command=["c"])}),
        spec(BARE, defaults={"template": main(image="i")}),
        NOTHING_TO_RUN,
    ),
    "an image is known": (
        spec(BARE | {"script": "true"}, defaults={"image": "i"}),
        bare(script="true"),
        "spec.steps[0]: there is no image to run (set spec.steps[0].image or spec.defaults.image)",
    ),
    "a template's image counts": (
        bare(script="true", template=main(image="i")),
        bare(script="true", template=main(image="")),
        "spec.steps[0]: there is no image to run (set spec.steps[0].image or spec.defaults.image)",
    ),
    "script or command": (
        bare(script="true", image="i"),
        one(script="true"),
        "spec.steps[0].command: cannot stand beside script (say in one place what to run)",
    ),
    "script or args": (
        bare(args=["x"], image="i"),
        bare(args=["x"], image="i", script="true"),
        "spec.steps[0].args: cannot stand beside script (say in one place what to run)",
    ),
    "script or the template's command": (
        bare(script="true", template=main(image="i")),
        bare(script="true", template=main(image="i", command=["c"])),
        "spec.steps[0].template: the template's container 'main' sets command beside the step's own "
        "(say in one place what to run)",
    ),
    "command or the template's args": (
        bare(command=["c"], template=main(image="i")),
        bare(command=["c"], template=main(image="i", args=["c"])),
        "spec.steps[0].template: the template's container 'main' sets args beside the step's own "
        "(say in one place what to run)",
    ),
    "a script is not empty": (
        bare(image="i", script=":"),
        bare(image="i", script=""),
        "spec.steps[0].script: must not be empty",
    ),
    "a script fits one argument": (
        bare(image="i", script="x" * 32_000),
        bare(image="i", script="x" * 32_001),
        "spec.steps[0].script: must have at most 32000 characters",
    ),
    "no expression in a script": (
        bare(image="i", script="echo $ {{ x }}"),
        bare(image="i", script="echo ${{ x }}"),
        f"spec.steps[0].script: {SCRIPT} {SCRIPT_HINT}",
    ),
    "an expression in an argument": (
        bare(image="i", args=["${{ workflow.name }}"]),
        bare(image="i", args=["${{ workflow.nam }}"]),
        "spec.steps[0].args[0]: ${{ workflow.nam }}: workflow has no 'nam' (did you mean 'name'?)",
    ),
    "an expression in a variable": (
        one(env=[{"name": "A", "value": "$(KIPU_STEP)"}]),
        one(env=[{"name": "A", "value": "${{ a"}]),
        "spec.steps[0].env[0].value: ${{ is not closed (write ${{ expression }})",
    ),
    "no expression in an image": (
        one(image="${x}"),
        one(image="${{x}}"),
        "spec.steps[0].image: expressions stand in env, args and command alone (write it out)",
    ),
    "no expression in a template": (
        one(template=main(env=[{"name": "A", "value": "x"}])),
        one(template=main(env=[{"name": "A", "value": "${{ 1 }}"}])),
        "spec.steps[0].template.spec.containers[0].env[0].value: expressions stand in a step's own env, args and "
        "command (set it among the step's own fields, which are laid over the template)",
    ),
    "a condition yields true or false": (
        one(when="1 < 2"),
        one(when="1 + 2"),
        "spec.steps[0].when: must yield true or false, not int",
    ),
    "a condition of 1,024 characters": (
        one(when="true" + " " * 1_020),
        one(when="true" + " " * 1_021),
        "spec.steps[0].when: must have at most 1024 characters",
    ),
    "a condition is not empty": (one(when="true"), one(when=""), "spec.steps[0].when: must not be empty"),
    "a reference goes upstream": (
        spec(step("a", outputs=[{"name": "x"}]), step("b"), step("c", dependsOn=["b"], when="steps.b.phase == ''")),
        spec(step("a", outputs=[{"name": "x"}]), step("b"), step("c", dependsOn=["b"], when="steps.a.phase == ''")),
        "spec.steps[2].when: steps['a'] is not upstream of step 'c': it may not be over when this is evaluated "
        "(add 'a' to dependsOn)",
    ),
    "upstream through others": (
        spec(step("a"), step("b", dependsOn=["a"]), step("c", dependsOn=["b"], when="steps.a.phase == ''")),
        spec(step("a", dependsOn=["b"], when="steps.c.phase == ''"), step("b"), step("c", dependsOn=["a"])),
        "spec.steps[0].when: steps['c'] is not upstream of step 'a': it may not be over when this is evaluated "
        "(add 'c' to dependsOn)",
    ),
    "32 outputs": (
        one(outputs=[{"name": f"o{n}", "type": "Json"} for n in range(32)]),
        one(outputs=[{"name": f"o{n}"} for n in range(33)]),
        "spec.steps[0].outputs: must have at most 32 entries",
    ),
    "outputs have names of their own": (
        one(outputs=[{"name": "a"}, {"name": "b"}]),
        one(outputs=[{"name": "a"}, {"name": "a"}]),
        "spec.steps[0].outputs[1].name: 'a' is already the name of an output",
    ),
    "an output's name can be selected": (
        one(outputs=[{"name": "row_count2"}]),
        one(outputs=[{"name": "row-count"}]),
        "spec.steps[0].outputs[0].name: 'row-count' is not a name here (use letters, digits and '_', with no digit in "
        "front)",
    ),
    "types of outputs": (
        one(outputs=[{"name": "a", "type": "Double"}]),
        one(outputs=[{"name": "a", "type": "Integer"}]),
        "spec.steps[0].outputs[0].type: must be one of String, Int, Bool, Double, Json, not 'Integer' "
        "(did you mean Int?)",
    ),
    "outputs are one pod's": (
        one(outputs=[{"name": "a"}], job={"completions": 1, "completionMode": "Indexed"}),
        one(outputs=[{"name": "a"}], job={"completions": 2}),
        "spec.steps[0].outputs: a step of several pods has no outputs: which pod's would they be "
        "(let the pods write to a volume)",
    ),
    "what is adopted brings its outputs": (
        spec(step("a", outputs=TYPED), adopt=adopt(adopted("a", outputs={"n": 1, "j": "[1,2.5]"}))),
        spec(step("a", outputs=TYPED), adopt=adopt(adopted("a", outputs={"n": 1}))),
        "spec.adopt.steps[0].outputs: output 'j' is missing ('kipu salvage' writes all of them)",
    ),
    "and no others": (
        spec(step("a"), adopt=adopt(adopted("a", outputs={}))),
        spec(step("a"), adopt=adopt(adopted("a", outputs={"x": 1}))),
        "spec.adopt.steps[0].outputs.x: step 'a' declares no such output",
    ),
    "in their types": (
        spec(step("a", outputs=TYPED), adopt=adopt(adopted("a", outputs={"n": -1, "j": "null"}))),
        spec(step("a", outputs=TYPED), adopt=adopt(adopted("a", outputs={"n": -1, "j": "[1, 2]"}))),
        "spec.adopt.steps[0].outputs.j: is not a recorded Json (write it as the record holds it)",
    ),
    "a truth is no number": (
        spec(step("a", outputs=TYPED), adopt=adopt(adopted("a", outputs={"n": 1, "j": "1"}))),
        spec(step("a", outputs=TYPED), adopt=adopt(adopted("a", outputs={"n": True, "j": "1"}))),
        "spec.adopt.steps[0].outputs.n: is not a recorded Int (write it as the record holds it)",
    ),
    "item is of a fan-out": (
        one(args=["${{ item }} ${{ index }}"], forEach={"items": ["a"]}),
        one(args=["${{ item }}"]),
        "spec.steps[0].args[0]: ${{ item }}: 'item' is known in a step with forEach alone, and not in its when",
    ),
    "no item before there are some": (
        one(when="true", forEach={"count": 2}),
        one(when="item == 1", forEach={"count": 2}),
        "spec.steps[0].when: 'item' is known in a step with forEach alone, and not in its when",
    ),
    "an adopted fan-out has no outputs": (
        spec(step("a", forEach={"count": 2}), adopt=adopt("a")),
        spec(step("a", forEach={"count": 2}, outputs=[{"name": "x"}]), adopt=adopt("a")),
        "spec.adopt.steps[0].name: step 'a' is a fan-out with outputs, for which no single record stands "
        "(leave it out: it runs again)",
    ),
    "an expression of items yields a list": (
        one(forEach={"expression": "[1, 2]"}),
        one(forEach={"expression": "1 + 2"}),
        "spec.steps[0].forEach.expression: must yield a list, not int",
    ),
    "what a fan-out has written is a list": (
        spec(
            step("a", forEach={"count": 2}, outputs=[{"name": "n", "type": "Int"}]),
            step("b", dependsOn=["a"], when="steps.a.outputs.n[0] == 1"),
        ),
        spec(
            step("a", forEach={"count": 2}, outputs=[{"name": "n", "type": "Int"}]),
            step("b", dependsOn=["a"], when="steps.a.outputs.n == 1"),
        ),
        "spec.steps[1].when: '==' cannot be applied to (list(dyn), int)",
    ),
    "an approval may be conditional": (
        spec({"name": "ask", "approval": {"message": "?"}, "when": "1 < 2"}),
        spec({"name": "ask", "approval": {"message": "?"}, "outputs": [{"name": "a"}]}),
        "spec.steps[0].outputs: has no meaning beside approval: it has no Job (remove it)",
    ),
    "the outcome is known at the end": (
        spec(step("a"), **{"finally": [step("b", when="workflow.outcome == 'Failed' && steps.a.phase == 'Failed'")]}),
        spec(step("a", when="workflow.outcome == 'Failed'"), **{"finally": [step("b")]}),
        "spec.steps[0].when: workflow has no 'outcome'",
    ),
    "finally names its own place": (
        spec(step("a"), **{"finally": [step("b"), step("c", dependsOn=["b"], when="steps.b.phase == ''")]}),
        spec(step("a"), **{"finally": [step("b"), step("c", when="steps.b.phase == ''")]}),
        "spec.finally[1].when: steps['b'] is not upstream of step 'c': it may not be over when this is evaluated "
        "(add 'b' to dependsOn)",
    ),
    "params have names of their own": (
        spec(params=[{"name": "a", "value": 1}, {"name": "A", "value": [1, {"b": None}]}]),
        spec(params=[{"name": "a", "value": 1}, {"name": "a", "value": 2}]),
        "spec.params[1].name: 'a' is already the name of a param",
    ),
    "a param has a value": (
        spec(params=[{"name": "a", "value": ""}]),
        spec(params=[{"name": "a", "value": None}]),
        'spec.params[0].value: is required ("" is the empty text)',
    ),
    "a param is whole": (
        spec(params=[{"name": "a", "value": 1.0}]),
        spec(params=[{"name": "a", "value": [1.5]}]),
        "spec.params[0].value: holds a fraction (put it in quotes, and write double(params.NAME) where a number is "
        "needed)",
    ),
    "params of 64 KiB": (
        spec(params=[{"name": "a", "value": "x" * (65_536 - 8)}]),
        spec(params=[{"name": "a", "value": "x" * (65_536 - 7)}]),
        "spec.params: come to 65537 bytes of JSON, at most 65536 are allowed (keep large data in a volume or a "
        "ConfigMap)",
    ),
    "100 params": (
        spec(params=[{"name": f"p{n}", "value": n} for n in range(100)]),
        spec(params=[{"name": f"p{n}", "value": n} for n in range(101)]),
        "spec.params: must have at most 100 entries",
    ),
    "10,000 expressions": (
        spec(*(step(f"s{n}", args=["${{ 1 }}"], command=["${{ 1 }}"]) for n in range(5_000))),
        spec(
            *(step(f"s{n}", args=["${{ 1 }}"], command=["${{ 1 }}"]) for n in range(4_999)),
            step("last", when="true", args=["${{ 1 }}"], command=["${{ 1 }}"]),
        ),
        "spec.steps[4999]: a workflow holds at most 10000 expressions",
    ),
    "a variable's value is text": (
        one(env=[{"name": "A", "value": "1"}]),
        one(env=[{"name": "A", "value": 1}]),
        f"spec.steps[0].env[0].value: must be a string, not a number {HINT_QUOTES}",
    ),
    "KIPU_ is ours": (
        one(env=[{"name": "KIPU"}]),
        one(env=[{"name": "KIPU_STEP", "value": "x"}]),
        "spec.steps[0].env[0].name: names that begin with KIPU_ are Kipu's own",
    ),
    "KIPU_ is ours in templates too": (
        one(template=main(env=[{"name": "A"}])),
        one(template=main(env=[{"name": "A"}, {"name": "KIPU_UID"}])),
        "spec.steps[0].template.spec.containers[0].env[1].name: names that begin with KIPU_ are Kipu's own",
    ),
    "256 variables": (
        one(env=[{"name": f"A{n}"} for n in range(256)]),
        one(env=[{"name": f"A{n}"} for n in range(257)]),
        "spec.steps[0].env: must have at most 256 entries",
    ),
    "forEach needs items": (
        one(forEach={"items": []}),
        one(forEach={}),
        "spec.steps[0].forEach: does not say for what the step is repeated "
        "(give it one of items, count and expression)",
    ),
    "forEach has items or a count": (
        one(forEach={"count": 1, "items": None}),
        one(forEach={"count": 1, "items": []}),
        "spec.steps[0].forEach: has items and count (give it one of items, count and expression)",
    ),
    "10,000 items by number": (
        one(forEach={"count": 10_000}),
        one(forEach={"count": 10_001}),
        "spec.steps[0].forEach.count: must be at most 10000",
    ),
    "10,000 items": (
        one(forEach={"items": ["x"] * 10_000}),
        one(forEach={"items": ["x"] * 10_001}),
        "spec.steps[0].forEach.items: must have at most 10000 entries",
    ),
    "items from none": (
        one(forEach={"count": 0}),
        one(forEach={"count": -1}),
        "spec.steps[0].forEach.count: must be at least 0",
    ),
    "the size of an item": (
        one(forEach={"items": ["a", "x" * 4_096]}),
        one(forEach={"items": ["a", ["x" * 4_093]]}),
        "spec.steps[0].forEach.items[1]: is an item of 4097 bytes, at most 4096 are possible "
        "(pass a name, and let the step read the rest)",
    ),
    "the size of all items": (
        one(forEach={"items": ["x" * 4_096] * 64}),
        one(forEach={"items": [*["x" * 4_096] * 64, "x"]}),
        "spec.steps[0].forEach.items: the items have 262145 bytes together, at most 262144 are possible "
        "(pass names, and let each step read the rest)",
    ),
    "items of all fan-outs": (
        spec(*(step(f"s{n}", forEach={"count": 10_000}) for n in range(5))),
        spec(*(step(f"s{n}", forEach={"count": 10_000}) for n in range(5)), step("more", forEach={"count": 1})),
        "spec.steps: the fan-outs have 50001 items together, at most 50000 are possible "
        "(split the workflow in several)",
    ),
    "an item that the log can hold": (
        one(forEach={"items": [{"a": 2**63 - 1}]}),
        one(forEach={"items": [{"a": 2**64}]}),
        "spec.steps[0].forEach.items[0].a: is a number of more than 64 bits (write it as a string)",
    ),
    "parallelism of items": (
        one(forEach={"count": 1, "parallelism": 1_000}),
        one(forEach={"count": 1, "parallelism": 1_001}),
        "spec.steps[0].forEach.parallelism: must be at most 1000",
    ),
    "maxFailures": (
        one(forEach={"count": 1, "maxFailures": 0}),
        one(forEach={"count": 1, "maxFailures": -1}),
        "spec.steps[0].forEach.maxFailures: must be at least 0",
    ),
    "256 arguments": (
        one(args=["x"] * 256),
        one(args=["x"] * 257),
        "spec.steps[0].args: must have at most 256 entries",
    ),
    "an image is not empty": (one(image="i"), one(image=""), "spec.steps[0].image: must not be empty"),
    "an image's length": (
        one(image="i" * 1_024),
        one(image="i" * 1_025),
        "spec.steps[0].image: must have at most 1024 characters",
    ),
    "imagePullPolicy": (
        one(imagePullPolicy="Always"),
        one(imagePullPolicy="Sometimes"),
        "spec.steps[0].imagePullPolicy: must be one of Always, IfNotPresent, Never, not 'Sometimes'",
    ),
    "restartPolicy is Never": (
        one(template={"spec": {"restartPolicy": "Never"}}),
        one(template={"spec": {"restartPolicy": "OnFailure"}}),
        "spec.steps[0].template.spec.restartPolicy: must be Never "
        "(an attempt that failed is tried again by the step's retry)",
    ),
    "our labels are ours": (
        spec(defaults={"template": {"metadata": {"labels": {"team": "a"}}}}),
        spec(defaults={"template": {"metadata": {"labels": {"kipu.dev/step": "a"}}}}),
        "spec.defaults.template.metadata.labels[kipu.dev/step]: is a label that Kipu sets",
    ),
    "a pod has no name of its own": (
        one(template={"metadata": {"annotations": {"a": "b"}}}),
        one(template={"metadata": {"name": "b"}}),
        "spec.steps[0].template.metadata.name: is not a field of this object",
    ),
    "containers are a list": (
        one(template={"spec": {"containers": []}}),
        one(template={"spec": {"containers": {}}}),
        "spec.steps[0].template.spec.containers: must be a list",
    ),
    "containers have names": (
        one(template={"spec": {"containers": [{"name": "a"}]}}),
        one(template={"spec": {"containers": [{"image": "a"}]}}),
        "spec.steps[0].template.spec.containers[0].name: is required",
    ),
    "containers have different names": (
        one(template={"spec": {"containers": [{"name": "a"}, {"name": "b"}]}}),
        one(template={"spec": {"containers": [{"name": "a"}, {"name": "a"}]}}),
        "spec.steps[0].template.spec.containers[1].name: 'a' is already a container's name",
    ),
    "what passes through is composed Unicode": (
        one(template={"spec": {"hostname": "caf\u00e9"}}),
        one(template={"spec": {"hostname": "cafe\u0301"}}),
        "spec.steps[0].template.spec.hostname: holds text that is not in Unicode's composed form "
        "(write it composed (NFC), or as an escape sequence that the program decodes)",
    ),
    "numbers have 64 bits": (
        one(template={"spec": {"priority": 2**63 - 1}}),
        one(template={"spec": {"priority": 2**63}}),
        "spec.steps[0].template.spec.priority: is a number of more than 64 bits (write it as a string)",
    ),
    "a slip of the pen": (
        one(retry={}),
        one(retyr={}),
        "spec.steps[0].retyr: is not a field of this object (did you mean 'retry'?)",
    ),
    "a slip deep inside": (
        one(retry={"backoff": {"max": "5m"}}),
        one(retry={"backoff": {"maximum": "5m"}}),
        "spec.steps[0].retry.backoff.maximum: is not a field of this object (did you mean 'max'?)",
    ),
    "a workspace has one claim": (
        spec(workspace={"claimTemplate": CLAIM}),
        spec(workspace={**SHARED, "claimTemplate": CLAIM}),
        "spec.workspace: needs one of claimName and claimTemplate "
        "(name a claim that is there (claimName), or say which one to make (claimTemplate))",
    ),
    "a claim's name": (
        spec(workspace={"claimName": "a" * 253}),
        spec(workspace={"claimName": "a" * 254}),
        "spec.workspace.claimName: must have at most 253 characters",
    ),
    "a claim has a spec": (
        spec(workspace={"claimTemplate": CLAIM}),
        spec(workspace={"claimTemplate": {}}),
        "spec.workspace.claimTemplate.spec: is required",
    ),
    "no workspace beside adoption": (
        spec(workspace=SHARED),
        spec(workspace=SHARED, adopt=adopt("only")),
        "spec.adopt: cannot stand beside spec.workspace: the files of the steps that it adopts are not in it "
        "(leave it out: all steps run again)",
    ),
    "inputs need a workspace": (
        reading("b"),
        spec(step("a"), step("b", dependsOn=["a"], inputs=["a"])),
        "spec.steps[1].inputs: there is no workspace to read from (say in spec.workspace where files are kept)",
    ),
    "an input is a step": (
        reading("b"),
        reading("bb"),
        "spec.steps[6].inputs[0]: there is no step 'bb' (did you mean 'b'?)",
    ),
    "an input once": (
        reading("b", "c"),
        reading("b", "b"),
        "spec.steps[6].inputs[1]: 'b' is listed twice (remove one of the two)",
    ),
    "an input goes upstream": (
        reading("b"),
        reading("a"),
        "spec.steps[6].inputs[0]: step 'a' need not be over when this one begins (add 'a' to dependsOn)",
    ),
    "an input keeps files": (
        reading("c"),
        reading("several"),
        "spec.steps[6].inputs[0]: step 'several' keeps no files: it has several pods (remove it)",
    ),
    "an input has run": (
        reading("c"),
        reading("w"),
        "spec.steps[6].inputs[0]: step 'w' keeps no files: it has no Job (remove it)",
    ),
    "at most 250 folders": (
        reading("many"),
        reading("many", "b"),
        "spec.steps[6].inputs: come to 251 folders, at most 250 can be mounted in a pod "
        "(say in inputs which steps' files it needs)",
    ),
    "the volume is Kipu's": (
        one(template={"spec": {"volumes": [{"name": "kipu", "emptyDir": {}}]}}),
        one(template={"spec": {"volumes": [{"name": "kipu-workspace", "emptyDir": {}}]}}),
        "spec.steps[0].template.spec.volumes[0].name: is the name of Kipu's own volume",
    ),
    "adoption names a workflow": (
        spec(adopt=adopt("only")),
        spec(adopt=adopt("only", workflowUid="nightly")),
        "spec.adopt.workflowUid: 'nightly' is not the uid of a Workflow "
        "(kubectl get kw NAME -o jsonpath={.metadata.uid})",
    ),
    "adoption names a run": (
        spec(adopt=adopt("only", run=1)),
        spec(adopt=adopt("only", run=0)),
        "spec.adopt.run: must be at least 1",
    ),
    "adoption to run 1,000,000": (
        spec(adopt=adopt("only", run=1_000_000)),
        spec(adopt=adopt("only", run=1_000_001)),
        "spec.adopt.run: must be at most 1000000",
    ),
    "adoption needs a run": (
        spec(adopt=adopt("only")),
        spec(adopt=without(adopt("only"), "run")),
        "spec.adopt.run: is required",
    ),
    "adoption of a step at least": (
        spec(adopt=adopt("only")),
        spec(adopt=adopt()),
        "spec.adopt.steps: must not be empty",
    ),
    "adoption of at most 5,000 steps": (
        spec(*MANY, adopt=adopt(*[one["name"] for one in MANY])),
        spec(*MANY, adopt=adopt(*[one["name"] for one in MANY], "s0")),
        "spec.adopt.steps: must have at most 5000 entries",
    ),
    "adopted positions from 1": (
        spec(adopt=adopt(adopted("only", position=1))),
        spec(adopt=adopt(adopted("only", position=0))),
        "spec.adopt.steps[0].position: must be at least 1",
    ),
    "adopted positions to 1,000,000,000": (
        spec(adopt=adopt(adopted("only", position=10**9))),
        spec(adopt=adopt(adopted("only", position=10**9 + 1))),
        "spec.adopt.steps[0].position: must be at most 1000000000",
    ),
    "an adopted hash is one": (
        spec(adopt=adopt(adopted("only", hash="0" * 64))),
        spec(adopt=adopt(adopted("only", hash="0" * 63))),
        f"spec.adopt.steps[0].hash: '{'0' * 57}...' is not the hash of a record (it has 64 digits, of 0-9 and a-f)",
    ),
    "an adopted hash is in small digits": (
        spec(adopt=adopt(adopted("only", hash="a" * 64))),
        spec(adopt=adopt(adopted("only", hash="A" * 64))),
        f"spec.adopt.steps[0].hash: '{'A' * 57}...' is not the hash of a record (it has 64 digits, of 0-9 and a-f)",
    ),
    "an adopted hash is no longer": (
        spec(adopt=adopt(adopted("only", hash="a" * 64))),
        spec(adopt=adopt(adopted("only", hash="a" * 65))),
        "spec.adopt.steps[0].hash: must have at most 64 characters",
    ),
    "an adopted step exists": (
        spec(step("fetch"), adopt=adopt("fetch")),
        spec(step("fetch"), adopt=adopt("fetsh")),
        "spec.adopt.steps[0].name: there is no step 'fetsh' (did you mean 'fetch'?)",
    ),
    "a step is adopted once": (
        spec(adopt=adopt("only")),
        spec(adopt=adopt("only", "only")),
        "spec.adopt.steps[1].name: 'only' is already adopted by spec.adopt.steps[0] (remove one of the two)",
    ),
    "an adopted step's needs are adopted": (
        spec(step("a"), step("b", dependsOn=["a"]), adopt=adopt("b", "a")),
        spec(step("a"), step("b", dependsOn=["a"]), adopt=adopt("b")),
        "spec.adopt.steps[0].name: step 'b' needs 'a', which is not adopted and runs again "
        "(adopt 'a' too, or leave 'b' out)",
    ),
    "a step for failures is not adopted": (
        spec(step("a"), step("b", dependsOn=["a"], runWhen="AllFinished"), adopt=adopt("a", "b")),
        spec(step("a"), step("b", dependsOn=["a"], runWhen="AnyFailed"), adopt=adopt("a", "b")),
        "spec.adopt.steps[1].name: step 'b' runs only after a failure, and nothing that is adopted has failed "
        "(leave it out)",
    ),
    "steps of finally": (
        spec(**{"finally": [step(f"f{n}") for n in range(FINALLY_MAX)]}),
        spec(**{"finally": [step(f"f{n}") for n in range(FINALLY_MAX + 1)]}),
        f"spec.finally: must have at most {FINALLY_MAX} entries",
    ),
    "a name over both lists": (
        spec(step("a"), **{"finally": [step("b")]}),
        spec(step("a"), **{"finally": [step("a")]}),
        "spec.finally[0].name: 'a' is already the name of spec.steps[0] (give every step a name of its own)",
    ),
    "finally waits for nobody before it": (
        spec(step("a"), **{"finally": [step("b"), step("c", dependsOn=["b"])]}),
        spec(step("a"), **{"finally": [step("b", dependsOn=["a"])]}),
        "spec.finally[0].dependsOn[0]: 'a' is over whenever finally begins "
        "(remove it; KIPU_OUTCOME says what the steps came to)",
    ),
    "nobody waits for finally": (
        spec(step("a"), **{"finally": [step("b")]}),
        spec(step("a", dependsOn=["b"]), **{"finally": [step("b")]}),
        "spec.steps[0].dependsOn[0]: 'b' is a step of finally, which begins when all others are over (remove it)",
    ),
    "an approval runs nothing": (
        spec({"name": "a", "approval": {"message": "x" * TEXT_LENGTH_MAX}, "runWhen": "AllFinished"}),
        spec({"name": "a", "approval": {}, "retry": {"maxAttempts": 2}}),
        "spec.steps[0].retry: has no meaning beside approval: it has no Job (remove it)",
    ),
    "a sub-workflow says nothing of what it runs": (
        spec(NESTED | {"retry": {"maxAttempts": 2}, "timeout": "1h", "forEach": {"count": 2}, "allowFailure": True}),
        spec(NESTED | {"image": "i"}),
        "spec.steps[0].image: has no meaning beside workflow: the template says what runs (remove it)",
    ),
    "a sub-workflow has no outputs": (
        spec(NESTED | {"when": "1 < 2"}),
        spec(NESTED | {"outputs": [{"name": "a"}]}),
        "spec.steps[0].outputs: has no meaning beside workflow: the template says what runs (remove it)",
    ),
    "a sub-workflow has no exit code": (
        spec(NESTED | {"retry": {"maxAttempts": 2}}),
        spec(NESTED | {"retry": {"nonRetryableExitCodes": [2]}}),
        "spec.steps[0].retry.nonRetryableExitCodes: has no meaning beside workflow: it has no exit code (remove it)",
    ),
    "a sub-workflow names a template": (
        spec(NESTED),
        spec({"name": "a", "workflow": {}}),
        "spec.steps[0].workflow.templateRef: is required",
    ),
    "a param of a sub-workflow once": (
        spec(given({"name": "x", "value": 1}, {"name": "y", "value": 1})),
        spec(given({"name": "x", "value": 1}, {"name": "x", "value": 2})),
        "spec.steps[0].workflow.params[1].name: 'x' is already the name of a param",
    ),
    "a param of a sub-workflow is whole": (
        spec(given({"name": "x", "value": "0.5"})),
        spec(given({"name": "x", "value": 0.5})),
        "spec.steps[0].workflow.params[0].value: holds a fraction (put it in quotes, and write double(params.NAME)"
        " where a number is needed)",
    ),
    "an expression is a whole param": (
        spec(given({"name": "x", "value": "${{ [1] }}"})),
        spec(given({"name": "x", "value": ["${{ 1 }}"]})),
        "spec.steps[0].workflow.params[0].value[0]: expressions stand in a param's own text (write the whole value as"
        " one ${{ }}, which keeps its type)",
    ),
    "an expression in a param of a sub-workflow": (
        spec(given({"name": "x", "value": "${{ params.a }}"}), params=[{"name": "a", "value": 1}]),
        spec(given({"name": "x", "value": "${{ params.b }}"}), params=[{"name": "a", "value": 1}]),
        "spec.steps[0].workflow.params[0].value: ${{ params.b }}: there is no param 'b'",
    ),
    "the question of an approval": (
        spec({"name": "a", "approval": {"message": "x" * TEXT_LENGTH_MAX}}),
        spec({"name": "a", "approval": {"message": "x" * (TEXT_LENGTH_MAX + 1)}}),
        f"spec.steps[0].approval.message: must have at most {TEXT_LENGTH_MAX} characters",
    ),
    "a wait has a duration": (
        spec({"name": "a", "wait": {"duration": "1ms"}}),
        spec({"name": "a", "wait": {}}),
        "spec.steps[0].wait.duration: is required",
    ),
    "answers to approvals": (
        spec(approvals=[]),
        spec(approvals=[{"step": "a", "decision": "Approve", "by": "ann"}] * (ANSWERS_MAX + 1)),
        f"spec.approvals: must have at most {ANSWERS_MAX} entries",
    ),
    "an answer is one of two": (
        spec(approvals=[]),
        spec(approvals=[{"step": "a", "decision": "Yes", "by": "ann"}]),
        "spec.approvals[0].decision: must be one of Approve, Reject, not 'Yes'",
    ),
    "the second run is the first to ask for": (
        spec(rerun={"number": 2, "from": ["only"]}),
        spec(rerun={"number": 1}),
        "spec.rerun.number: must be at least 2",
    ),
    "suspend is true or false": (
        spec(suspend=True),
        spec(suspend="true"),
        "spec.suspend: must be true or false, not a string",
    ),
    "the highest priority": (
        spec(priority=PRIORITY_MAX),
        spec(priority=PRIORITY_MAX + 1),
        f"spec.priority: must be at most {PRIORITY_MAX}",
    ),
    "the lowest priority": (
        spec(priority=-PRIORITY_MAX),
        spec(priority=-PRIORITY_MAX - 1),
        f"spec.priority: must be at least {-PRIORITY_MAX}",
    ),
    "a field of a later version": (
        spec(),
        {**spec(), "memoize": {}},
        "spec.memoize: is not a field of this object (a later version of Kipu will have it, this one does not)",
    ),
}


LARGE = {"at most 5,000 steps", "10,000 expressions", "adoption of at most 5,000 steps"}


def sized(rule: str, *values: Any, name: str = "") -> Any:
    """What a test is told of a rule; the manifests of some take seconds, each time that one is judged."""
    return pytest.param(*values, id=name or rule, marks=pytest.mark.proof if rule in LARGE else ())


EACH = pytest.mark.parametrize("rule", [sized(rule, rule) for rule in RULES])


@EACH
def test_at_the_bound_it_is_taken(rule: str) -> None:
    assert problems(RULES[rule][0]) == []


@EACH
def test_past_the_bound_it_is_refused_with_just_this(rule: str) -> None:
    assert problems(RULES[rule][1]) == [RULES[rule][2]]


def test_every_problem_is_told_at_once() -> None:
    raw = {
        "timeout": "0s",
        "steps": [
            step("Bad"),
            step("b", wen="x", dependsOn=["c"]),
            without(step("c"), "image", "command"),
            {"name": "d", "image": "i", "script": "x", "command": ["y"], "args": ["z"]},
        ],
    }
    assert [problem.partition(": ")[0] for problem in problems(raw)] == [
        "spec.timeout",
        "spec.steps[0].name",
        "spec.steps[1].wen",
        "spec.steps[2]",
        "spec.steps[3].command",
        "spec.steps[3].args",
    ]


def test_the_graph_is_judged_whatever_else_is_wrong() -> None:
    raw = spec(step("a", dependsOn=["b"], bogus=1), step("b", dependsOn=["a"], image=""))
    assert any("a -> b -> a" in problem for problem in problems(raw))


def test_wrong_defaults_are_not_blamed_on_the_steps() -> None:
    raw = spec({"name": "a", "script": "x"}, defaults={"image": "", "retry": []})
    assert [problem.partition(":")[0] for problem in problems(raw)] == ["spec.defaults.image", "spec.defaults.retry"]


def test_words_on_unknown_attempts_are_taken_at_their_bounds() -> None:
    """Not among the rules above, which a cluster is asked too: there nobody speaks in another's name."""
    word = {"step": "a", "attempt": 1, "decision": "Retry", "by": "a" * 253}
    assert problems(spec(resolutions=[word] * 100)) == []

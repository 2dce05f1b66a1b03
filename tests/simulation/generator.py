"""Random scenarios, each a pure function of a number. What befalls them is drawn by `scripting`.

Deadlines are drawn so that no fault can move a step across them: a step either ends in a few seconds and has ten
minutes, or never ends. So what a run comes to does not hang on how late a replica is, and I15 can be strict.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from tests.fakes.nodes import Program

from .scenario import CLAIM, DECLARED, FOREVER_SECONDS, LOOSE, OUTPUTS, Plan, Scenario, spec, step

STEPS_MAX = 8
ASKS_MAX, WORDS_MAX = 4, 12  # x 2 runs = 96 of the 100 words that a spec may hold
CHILDLESS = frozenset(
    {"outputs", "effects", "onUnknown", "attemptTimeout", "startTimeout", "inputs"}
)  # of a step with a Job
SCRIPTS_PER_SCENARIO = 8  # seeds in a row share a scenario, so that its run without faults is made once


def scenario_of(seed: int) -> Scenario:
    """A random scenario."""
    draw = random.Random(f"scenario {seed // SCRIPTS_PER_SCENARIO}")
    count = draw.choice((1, 1, 1, 2))
    plans = tuple(_plan(draw, place) for place in range(count))
    repeats = random.Random(f"fan-outs {seed // SCRIPTS_PER_SCENARIO}")  # apart, so that all else stays as it was drawn
    plans = tuple(_repeated(repeats, plan) for plan in plans)
    files = random.Random(f"workspaces {seed // SCRIPTS_PER_SCENARIO}")
    plans = tuple(_handing_on(files, plan) for plan in plans)
    nests = random.Random(f"children {seed // SCRIPTS_PER_SCENARIO}")
    plans = tuple(_nested(nests, plan, place) for place, plan in enumerate(plans))
    named = random.Random(f"templates {seed // SCRIPTS_PER_SCENARIO}")
    plans = tuple(replace(plan, by_template=named.random() < 0.1) for plan in plans)
    replicas = draw.choice((1, 1, 1, 1, 1, 2, 2, 3))
    scenario = Scenario(
        name=f"random-{seed // SCRIPTS_PER_SCENARIO}", plans=plans, replicas=replicas, lease=draw.random() < 0.3
    )
    return _scheduled(random.Random(f"schedules {seed // SCRIPTS_PER_SCENARIO}"), scenario)


def _scheduled(draw: random.Random, scenario: Scenario) -> Scenario:
    """Beside some, a CronWorkflow starts Workflows of its own."""
    if not scenario.lease or draw.random() < 0.7:
        return scenario
    spec_of_each = spec(step("one"), *([step("two", "one")] if draw.random() < 0.5 else []))
    cron = {
        "schedule": "* * * * *",
        "concurrencyPolicy": draw.choice(("Allow", "Forbid", "Replace")),
        "successfulWorkflowsHistoryLimit": draw.choice((0, 1, 3)),
        "workflowTemplate": {"spec": spec_of_each},
    }
    return replace(scenario, cron=cron, cron_seconds=round(draw.uniform(70.0, 190.0), 3))


def _plan(draw: random.Random, place: int) -> Plan:
    count = draw.randint(1, STEPS_MAX)
    names = [f"s{number}" for number in range(count)]
    steps: list[dict[str, Any]] = []
    fates = {}
    for number, name in enumerate(names):
        needs = draw.sample(names[:number], min(number, draw.choice((0, 1, 1, 2, 3))))
        more, fate = _step(draw)
        if needs and draw.random() < 0.25:
            more["runWhen"] = draw.choice(("AllFinished", "AnyFailed"))
        fate = _speak(draw, more, fate, [need for need in needs if "outputs" in steps[names.index(need)]])
        steps.append(step(name, *sorted(needs), **more))
        fates[name] = fate
    more = {"onFailure": draw.choice(("FinishRunning", "CancelRunning", "Continue"))}
    if draw.random() < 0.3:
        more["parallelism"] = draw.randint(1, 3)
    if draw.random() < 0.1:
        more["timeout"] = draw.choice(("4s", "9s"))
    shutdown = None
    if draw.random() < 0.2:
        shutdown = round(draw.uniform(0.0, 12.0), 3), draw.choice(("Drain", "Cancel", "Terminate"))
    edits = (*_control(draw, names, steps, fates, more), *_words(draw, steps))
    at_seconds = round(draw.uniform(0.0, 3.0), 3) if place else 0.0
    return Plan(spec=spec(*steps, **more), fates=fates, shutdown=shutdown, edits=edits, at_seconds=at_seconds)


def _control(
    draw: random.Random,
    names: list[str],
    steps: list[dict[str, Any]],
    fates: dict[str, tuple[Program, ...]],
    more: dict[str, Any],
) -> tuple[tuple[float, dict[str, Any]], ...]:
    """Steps that ask or wait, finally, and what a person asks for while the run goes on."""
    edits: list[tuple[float, dict[str, Any]]] = []
    runs = (1, 2)
    answers = []
    for kept in steps:
        kind = draw.random()
        if kind > 0.12:
            continue
        name, needs, when = kept["name"], kept.get("dependsOn", []), kept.get("runWhen", "AllSucceeded")
        kept.clear()
        kept |= {"name": name, "dependsOn": needs, "runWhen": when}
        if kind < 0.06:
            kept["wait"] = {"duration": draw.choice(("1s", "4s"))}
        else:
            kept["approval"] = draw.choice(({}, {"timeout": LOOSE}))
            decision = draw.choice(("Approve", "Approve", "Reject"))
            answers += [{"step": name, "decision": decision, "by": "ann", "run": run} for run in runs]
    if answers:
        edits.append((round(draw.uniform(0.0, 8.0), 3), {"approvals": answers}))
    if draw.random() < 0.25:
        last = [f"last{number}" for number in range(draw.choice((1, 1, 2)))]
        for name in last:
            fates[name] = (Program(run_seconds=round(draw.uniform(0.1, 2.0), 3), exit_code=draw.choice((0, 0, 0, 1))),)
        more["finally"] = [step(name, *last[:number]) for number, name in enumerate(last)]
        more["finallyTimeout"] = LOOSE
    if draw.random() < 0.2:
        at = round(draw.uniform(0.0, 6.0), 3)
        edits += [(at, {"suspend": True}), (round(at + draw.uniform(0.5, 6.0), 3), {"suspend": False})]
    if draw.random() < 0.2:
        begins = draw.choice(([], [], [draw.choice(names)]))
        edits.append((round(draw.uniform(2.0, 20.0), 3), {"rerun": {"number": 2, "from": begins}}))
    return tuple(edits)


def _words(draw: random.Random, steps: list[dict[str, Any]]) -> Iterator[tuple[float, dict[str, Any]]]:
    """What a person says of attempts of which nobody knows whether they have done their work; not for ever: again."""
    asks = [each for each in steps if each.get("onUnknown") == "Ask"]
    for each in asks[ASKS_MAX:]:
        each["onUnknown"] = "Fail"
    words = []
    for each in asks[:ASKS_MAX]:
        for attempt in range(1, WORDS_MAX + 1):
            decision = draw.choice(("Succeed", "Fail", "Retry", "Retry") if attempt < 4 else ("Succeed", "Fail"))
            word = {"step": each["name"], "attempt": attempt, "decision": decision, "by": "ann"}
            words += [{**word, "run": run} for run in (1, 2)]
    if words:
        yield round(draw.uniform(0.0, 30.0), 3), {"resolutions": words}


def _speak(
    draw: random.Random, more: dict[str, Any], fate: tuple[Program, ...], speakers: list[str]
) -> tuple[Program, ...]:
    """What the step reads of these needs, and what it writes: its fate with messages."""
    if speakers:
        # What was skipped or has failed has no outputs: asked for with care, and now and then without.
        needs = [(need, f"steps['{need}'].outputs.text") for need in speakers]
        more["env"] = [
            {"name": f"IN_{need}", "value": f"${{{{ has({text}) ? {text} : 'none' }}}}"} for need, text in needs
        ]
        if draw.random() < 0.4:
            count = f"steps['{speakers[0]}'].outputs.count"
            more["when"] = f"has({count}) && {count} > {draw.randrange(3)}"
    elif draw.random() < 0.08:
        more["when"] = draw.choice(("true", "false", "1 / (2 - 2) == 1"))
    if draw.random() < 0.6:
        return fate
    more["outputs"] = DECLARED
    messages = [f"{OUTPUTS}{draw.randrange(4)}" for _ in fate]
    if draw.random() < 0.15:
        messages[0] = draw.choice(("", "oops", f"{OUTPUTS}x", "count=1\ntext=" + "x" * 4_096))
    return tuple(replace(one, message=text) for one, text in zip(fate, messages, strict=True))


def _step(draw: random.Random) -> tuple[dict[str, Any], tuple[Program, ...]]:
    """The fields of a step besides its needs, and the fates of its attempts."""
    more: dict[str, Any] = {}
    attempts = draw.choice((1, 1, 1, 2, 3))
    if attempts > 1:
        backoff = {
            "initial": draw.choice(("1s", "2s")),
            "factor": draw.choice((1, 2)),
            "jitter": draw.choice(("None", "Full")),
        }
        more["retry"] = {"maxAttempts": attempts, "backoff": backoff}
        if draw.random() < 0.2:
            more["retry"]["nonRetryableExitCodes"] = [2]
    if draw.random() < 0.15:
        more["allowFailure"] = True
    seconds = [round(draw.uniform(0.1, 2.5), 3) for _ in range(attempts)]
    codes = [draw.choice((0, 0, 0, 0, 1, 1, 2)) for _ in range(attempts)]
    fates = [Program(run_seconds=seconds[n], exit_code=codes[n]) for n in range(attempts)]
    kind = draw.random()
    if kind < 0.06:
        more["attemptTimeout"] = draw.choice(("1s", "3s"))
        fates[0] = Program(run_seconds=FOREVER_SECONDS)
        fates[1:] = [Program(run_seconds=FOREVER_SECONDS)] * (attempts - 1)
    elif kind < 0.1:
        more["timeout"] = draw.choice(("2s", "5s"))
        fates = [Program(run_seconds=FOREVER_SECONDS)] * attempts
    elif kind < 0.14:
        more["startTimeout"] = draw.choice(("1s", "3s"))
        fates = [Program(unschedulable="no node fits")] * attempts
    elif kind < 0.3:
        more[draw.choice(("attemptTimeout", "timeout", "startTimeout"))] = LOOSE
    if "startTimeout" not in more and draw.random() < 0.15:
        more |= {"effects": "External", "onUnknown": draw.choice(("Ask", "Fail", "Retry"))}
    return more, tuple(fates)


def _repeated(draw: random.Random, plan: Plan) -> Plan:
    """Some steps become fan-outs, some of whose items have fates of their own."""
    chosen = {step["name"] for step in plan.spec["steps"] if draw.random() < 0.15 and "script" in step}
    steps, fates = [], dict(plan.fates)
    for given in plan.spec["steps"]:
        step = _reading_lists(given, chosen)
        if step["name"] in chosen:
            for_each, own = _fan_out(draw, step["name"], fates[step["name"]])
            reads = [*step.get("env", ()), {"name": "ITEM", "value": "${{ index }}/${{ dyn(item) == null }}"}]
            step, fates = {**step, "forEach": for_each, "env": reads}, fates | own
            if step.get("onUnknown") == "Ask":
                step["onUnknown"] = "Fail"  # nobody can be asked about single items
        steps.append(step)
    last = [_reading_lists(step, chosen) for step in plan.spec.get("finally", ())]
    return replace(plan, spec={**plan.spec, "steps": steps, **({"finally": last} if last else {})}, fates=fates)


def _nested(draw: random.Random, plan: Plan, place: int) -> Plan:
    """Some steps become Workflows of their own, which do what the step would have done, and a little more."""
    steps, fates, templates = [], dict(plan.fates), dict[str, dict[str, Any]]()
    for given in plan.spec["steps"]:
        if draw.random() >= 0.12 or "script" not in given or not CHILDLESS.isdisjoint(given):
            steps.append(given)
            continue
        name, of = given["name"], f"t{place}-{given['name']}"
        kept = {key: value for key, value in given.items() if key not in ("script", "env", "retry")}
        retry = {key: value for key, value in given.get("retry", {}).items() if key != "nonRetryableExitCodes"}
        steps.append({**kept, **({"retry": retry} if retry else {}), "workflow": {"templateRef": {"name": of}}})
        last = {"finally": [step("tidy")]} if draw.random() < 0.3 else {}
        templates[of] = spec(step("one"), *([step("two", "one")] if draw.random() < 0.5 else []), **last)
        fates[f"{name}/one"] = fates[name]
    return replace(plan, spec={**plan.spec, "steps": steps}, fates=fates, templates=templates)


def _reading_lists(step: dict[str, Any], fans: set[str]) -> dict[str, Any]:
    """The step, where what it reads of these is a list."""

    def listed(text: str) -> str:
        for name in sorted(fans):
            whole, count = f"steps['{name}'].outputs.text", f"steps['{name}'].outputs.count"
            text = text.replace(f"? {whole} : 'none'", f"? {whole} : []")
            text = text.replace(f"&& {count} >", f"&& size({count}) >")
        return text

    env = [{**variable, "value": listed(variable["value"])} for variable in step.get("env", ())]
    return {**step, **({"env": env} if env else {}), **({"when": listed(step["when"])} if "when" in step else {})}


def _fan_out(
    draw: random.Random, name: str, fates: tuple[Program, ...]
) -> tuple[dict[str, Any], dict[str, tuple[Program, ...]]]:
    count = draw.choice((0, 1, 2, 3, 3, 5))
    sources: list[dict[str, Any]] = [
        {"count": count},
        {"items": ["x", {"n": 1}, 2, None, ""][:count]},
        {"expression": f"[1, 2, 3, 4, 5].filter(i, i <= {count})"},
    ]
    for_each = draw.choice(sources)
    if draw.random() < 0.5:
        for_each["parallelism"] = draw.choice((1, 2, 2, 4))
    if draw.random() < 0.4:
        for_each["maxFailures"] = draw.choice((1, 1, 2))
    own = {}
    for index in range(count):
        if draw.random() < 0.5 and all(fate.run_seconds < FOREVER_SECONDS and not fate.unschedulable for fate in fates):
            seconds, code = round(draw.uniform(0.1, 2.5), 3), draw.choice((0, 0, 1))
            own[f"{name}[{index}]"] = (replace(fates[0], run_seconds=seconds, exit_code=code), *fates[1:])
    return for_each, own


def _handing_on(draw: random.Random, plan: Plan) -> Plan:
    """In some workflows the steps hand files on, as they say or by what they wait for."""
    if draw.random() < 0.7:
        return plan
    steps = []
    for given in plan.spec["steps"]:
        needs = [need for need in given.get("dependsOn", ()) if "script" in _named(plan, need)]
        says = "script" in given and draw.random() < 0.6
        steps.append({**given, **({"inputs": draw.sample(needs, draw.randint(0, len(needs)))} if says else {})})
    workspace = draw.choice(({"claimTemplate": CLAIM}, {"claimName": "shared"}))
    return replace(plan, spec={**plan.spec, "steps": steps, "workspace": workspace})


def _named(plan: Plan, name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(step for step in plan.spec["steps"] if step["name"] == name)
    return found

"""The release before this one, with workflows that run; then this one, the way back, this one again; then it is removed
and installed anew. Each program waits until it is told to end, so that every change finds all of them under way.

The release before is the commit of e2e/previous. It knows no `logTail`, which stands in the record of a failed attempt
with last words, and calls such a log corrupt (ADR 0019): the workflow `told` shows that this harms nothing. Once
e2e/previous names a release with ADR 0019, `told` goes on there like the others.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

import pytest

from e2e import release
from e2e.apiserver import ApiServer, JsonObject, kubectl, pods, wait_until, workflows
from e2e.history import Log, read
from e2e.namespace import Namespace, condition, phases, retry, step, workflow
from e2e.operator_pod import Operator
from e2e.verdict import faults_found
from e2e.watching import Watch, executions_in

pytestmark = [pytest.mark.cluster, pytest.mark.alone, pytest.mark.timeout(600)]

KIPU = str(Path(sys.executable).with_name("kipu"))
CHANGES = 4  # up, back, up again, and removed and installed anew
SOON_SECONDS = 60.0
UNTIL_TOLD = "trap 'exit 0' USR1; sleep 3600 & wait"
FAILS_AFTER_EACH_CHANGE = f"trap '[ $KIPU_ATTEMPT -gt {CHANGES} ]; exit $?' USR1; sleep 3600 & wait"
FAILS_ONCE_WITH_LAST_WORDS = f"[ $KIPU_ATTEMPT -ge 2 ] || {{ echo no luck; exit 1; }}; {UNTIL_TOLD}"
LINKS = [f"link-{number}" for number in range(CHANGES + 1)]
AT_ONCE = 2
ITEMS = AT_ONCE * (CHANGES + 1)
UNDER_WAY = {"chain": 1, "fan": AT_ONCE, "retries": 1}  # how many programs of each run whenever nothing changes
STEPS = {
    "chain": LINKS,
    "fan": [f"shard[{number}]" for number in range(ITEMS)],
    "retries": ["flaky"],
    "asked": ["before", "published"],
    "held": ["first", "second"],
    "over": ["one"],
    "told": ["says"],
}


@pytest.fixture
def operator(api: ApiServer) -> Iterator[Operator]:
    """This release is installed before, and after, however the test ends."""
    found, before = Operator(api), release.manifest()
    found.ready()
    try:
        yield found
    finally:
        if release.manifest() != before:
            release.install()
        found.ready()


def test_up_back_up_again_removed_and_installed_anew_nothing_is_lost(
    namespace: Namespace, operator: Operator, tmp_path: Path
) -> None:
    before, previous = release.manifest(), release.previous_tree()
    release.install(previous)
    operator.ready()
    with namespace.watch_pods() as seen:
        submit(namespace)
        change(namespace, operator, release.install, release.ROOT)
        submit_told(namespace)
        change(namespace, operator, release.roll_back, previous)
        check_that_told_waits_for_the_upgrade(namespace)
        change(namespace, operator, release.install, release.ROOT)
        change(namespace, operator, lambda: remove_and_install(namespace), release.ROOT, told={"chain"})
        let_all_end(namespace)
        for name in STEPS:
            check(namespace, seen, name, tmp_path / f"{name}.jsonl")
    assert release.manifest() == before


# -- before ------------------------------------------------------------------------------------------------


def submit(namespace: Namespace) -> None:
    """All but `told`; all are as they are to be when the first change begins."""
    chain = [step(link, UNTIL_TOLD, LINKS[number - 1 : number] if number else []) for number, link in enumerate(LINKS)]
    fan = step("shard", UNTIL_TOLD, forEach={"count": ITEMS, "parallelism": AT_ONCE})
    flaky = step("flaky", FAILS_AFTER_EACH_CHANGE, retry=retry(CHANGES + 1))
    asking: JsonObject = {"name": "ask", "dependsOn": ["before"], "approval": {"timeout": "24h"}}
    for made in (
        workflow("over", [step("one")]),
        workflow("held", [step("first"), step("second", after=["first"])], suspend=True),
        workflow("asked", [step("before"), asking, step("published", after=["ask"])]),
        workflow("chain", chain),
        workflow("fan", [fan]),
        workflow("retries", [flaky]),
    ):
        namespace.submit(made)
    namespace.finished("over")
    namespace.phase("asked", "Running")
    namespace.phase("held", "Suspended")
    wait_until(lambda: phases(namespace.status("asked"))["ask"] == "Suspended", SOON_SECONDS, "somebody is asked")
    wait_until_under_way(namespace)


def submit_told(namespace: Namespace) -> None:
    """It has failed once, with last words in its log, and its second attempt runs."""
    namespace.submit(workflow("told", [step("says", FAILS_ONCE_WITH_LAST_WORDS, retry=retry(3))]))
    namespace.phase("told", "Running")
    fails = wait_until(lambda: read_of(namespace, "told").of("AttemptFailed"), SOON_SECONDS, "it has failed")
    assert fails[0]["logTail"] == "no luck"
    wait_until(lambda: len(running(namespace, "told")) == 1, SOON_SECONDS, "its second attempt runs")


def read_of(namespace: Namespace, name: str) -> Log:
    return read(namespace, namespace.uid(name))


def running(namespace: Namespace, name: str) -> list[JsonObject]:
    """The pods whose programs run."""
    return [pod for pod in namespace.pods(namespace.uid(name)) if pod["status"].get("phase") == "Running"]


def wait_until_under_way(namespace: Namespace) -> None:
    for name, count in UNDER_WAY.items():
        wait_until(
            lambda name=name, count=count: len(running(namespace, name)) == count,  # type: ignore[misc]
            SOON_SECONDS,
            f"{count} programs of {name} run",
        )


# -- a change ----------------------------------------------------------------------------------------------


def change(
    namespace: Namespace, operator: Operator, how: Callable[[], None], tree: Path, told: Collection[str] = ()
) -> None:
    """Something else is installed; what runs is taken over and goes on, and what was recorded still stands.

    `told`: the workflows whose programs are told to end in the middle of it.
    """
    before = {each["metadata"]["name"]: read_of(namespace, each["metadata"]["name"]) for each in all_of(namespace)}
    how()
    operator.ready()
    assert release.fields_in_the_cluster(namespace.api) == release.fields_of_the_crds(tree)
    for stored in all_of(namespace):
        check_that_it_is_still_valid(namespace, stored)
    for name in (*UNDER_WAY, "asked", "held"):
        wait_for_a_claim(namespace, name, before[name])
    for name in UNDER_WAY.keys() - told:
        tell_to_end(namespace, name)
    wait_until_under_way(namespace)
    for name, log in before.items():
        assert read_of(namespace, name).records[: len(log.records)] == log.records, f"{name}: its past was changed"
    assert read_of(namespace, "over") == before["over"]


def all_of(namespace: Namespace) -> list[JsonObject]:
    return namespace.api.items(workflows(namespace.name))


def check_that_it_is_still_valid(namespace: Namespace, stored: JsonObject) -> None:
    """What is unchanged is not judged again: so a new one with its spec is."""
    again = {key: stored[key] for key in ("apiVersion", "kind", "spec")} | {"metadata": {"generateName": "again-"}}
    namespace.api.create(workflows(namespace.name) + "?dryRun=All&fieldValidation=Strict", again)


def wait_for_a_claim(namespace: Namespace, name: str, before: Log) -> None:
    """Another operator has taken it over."""
    claims = len(before.of("StreamClaimed"))
    wait_until(lambda: len(read_of(namespace, name).of("StreamClaimed")) > claims, SOON_SECONDS, f"{name} is claimed")


def tell_to_end(namespace: Namespace, name: str) -> None:
    """All programs of this run that run now, and they have."""
    for pod in running(namespace, name):
        path = pods(namespace.name, pod["metadata"]["name"])
        wait_until(lambda path=path: has_ended_when_told(namespace, path), SOON_SECONDS, f"{path} ends")  # type: ignore[misc]


def has_ended_when_told(namespace: Namespace, path: str) -> bool:
    """It may have been told before its shell could listen: so it is told again."""
    kubectl("--namespace", namespace.name, "exec", path.rpartition("/")[2], "--", "kill", "-USR1", "1", check=False)
    return namespace.api.get(path)["status"]["phase"] in ("Succeeded", "Failed")


def check_that_told_waits_for_the_upgrade(namespace: Namespace) -> None:
    """An older release may not know all that its log says: it touches nothing, and the program runs on to its end."""
    wait_until(lambda: condition(namespace.status("told"), "Stalled") == "True", SOON_SECONDS, "told is stalled")
    log = read_of(namespace, "told")
    tell_to_end(namespace, "told")
    assert read_of(namespace, "told") == log


def remove_and_install(namespace: Namespace) -> None:
    """Nothing but the CRDs is left of the release, and what runs runs on; the chain's link ends while nobody looks."""
    release.uninstall()
    wait_until(lambda: not release.objects_of(release.NAME), SOON_SECONDS, "nothing of the release is left")
    assert set(release.CRDS) <= {name.partition("/")[2] for name in kubectl("get", "crds", "--output=name").split()}
    assert len(running(namespace, "fan")) == AT_ONCE
    tell_to_end(namespace, "chain")
    release.install()


# -- afterwards --------------------------------------------------------------------------------------------


def let_all_end(namespace: Namespace) -> None:
    """What waits for a person is answered, and what runs is told to end."""
    me = kubectl("auth", "whoami", "--output=jsonpath={.status.userInfo.username}")
    answers = {"asked": {"approvals": [{"step": "ask", "decision": "Approve", "by": me}]}, "held": {"suspend": False}}
    for name, spec in answers.items():
        namespace.api.merge(workflows(namespace.name, name), {"spec": spec})
    for name in UNDER_WAY:
        tell_to_end(namespace, name)
    for name in STEPS:
        assert namespace.finished(name)["phase"] == "Succeeded"


def check(namespace: Namespace, seen: Watch, name: str, file: Path) -> None:
    """Every program ran once for each attempt, every step succeeded once, and the whole log says so and is sound."""
    uid, log = namespace.uid(name), read_of(namespace, name)
    runs = executions_in([each for each in seen.history if each.labels["kipu.dev/workflow-uid"] == uid])
    faults = faults_found(STEPS[name], runs, log) | {"attempts given up": len(log.given_up())}
    assert not any(faults.values()), f"{name}: {faults}"
    attempts = {"retries": {("flaky", number + 1) for number in range(CHANGES + 1)}, "told": {("says", 1), ("says", 2)}}
    assert log.attempts() == attempts.get(name, {(each, 1) for each in STEPS[name]})
    assert [record["reason"] for record in log.of("AttemptFailed")] == ["ExitCode"] * (
        len(log.attempts()) - len(STEPS[name])
    )
    for command in (("export", name, "-n", namespace.name, "--output", str(file)), ("verify", str(file))):
        done = subprocess.run([KIPU, *command], capture_output=True, text=True, timeout=SOON_SECONDS, check=False)
        assert done.returncode == 0, done.stderr

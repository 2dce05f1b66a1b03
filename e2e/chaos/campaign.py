"""One campaign: the operator behind the proxy, load, deaths, calm, judgement, and everything taken away again.

Promises: bounded by the plan's minutes and then ENDING_SECONDS and COLLECTING_SECONDS; however it ends, the operator's
way is led back, both daemons run, no process, node or namespace of it is left.
"""

from __future__ import annotations

import ssl
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from kubernetes import config

from e2e.apiserver import config_maps, jobs, pods, wait_until, workflows
from e2e.namespace import ENFORCED, ours
from e2e.watching import executions_in

from .certificate import issue
from .daemons import Daemon, state_folder
from .dossier import keep
from .evidence import Reader
from .fakenodes import FakeNodes
from .faults import PER_MILLE, Faults, Kind
from .judge import Judgement
from .killer import Deed, Killer
from .load import Load, Quantity, Submitted
from .patient import PatientApi
from .proxy import Proxy
from .recovery import recoveries
from .report import Outcome, Violation
from .route import NAME, Route
from .running import RunningProxy
from .witness import Witness

PROXY_PORT = 443  # kopf asks kubernetes.default.svc, and so this port
NAMESPACES = 4
ENDING_SECONDS = 300.0  # once nothing goes wrong any more: the longest shape takes some 60 s, retries wait up to 30 s
SETTLING_SECONDS = 15.0  # until the last fault that was under way is over
QUIET_SECONDS = 2.0  # design 03, trap 1: `.status` agrees with the log within 2 s of quiet
COLLECTING_SECONDS = 180.0
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is asked for."""

    workflows: int = 300
    kills: int = 200
    seed: int = 1
    minutes: float = 40.0
    replicas: int = 0  # 0: as many as the chart installed
    in_flight: int = 24
    fake_share: float = 0.5  # of the workflows: on simulated nodes, since a real pod costs half a second of CPU
    first: Sequence[Deed] = ()  # before those that are drawn
    without: Sequence[Kind] = ()  # faults of requests that are left out, to find the one that matters


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """Everything a campaign works with."""

    plan: Plan
    api: PatientApi
    proxy: RunningProxy
    killer: Killer
    load: Load
    pods: Witness
    jobs: Witness
    shown: Witness
    say: Say


def run(plan: Plan, say: Say) -> Outcome:
    """The whole campaign."""
    begun = time.monotonic()
    with scene(plan, say, begun + plan.minutes * 60) as s:
        say("the operator is behind the proxy: the faults begin")
        s.proxy.faults.is_calm = False
        strike_until(s, begun + plan.minutes * 60)
        submitted = come_to_rest(s, begun + plan.minutes * 60)
        violations, judgements = judge_all(s, submitted)
        violations += collect(s.api, submitted)
        journal, first_seen = s.proxy.seen()
        reached = f"{s.killer.kills} of {plan.kills} kills, {len(submitted)} of {plan.workflows} workflows"
        return Outcome(
            seed=plan.seed,
            minutes=(time.monotonic() - begun) / 60,
            workflows=Counter(each.shape.name for each in submitted),
            executions=len(executions_in(s.pods.history)),
            doubled=sum(each.doubled for each in judgements),
            came_back=sum(each.came_back for each in judgements),
            deeds=s.killer.counts,
            stops_outlasting_the_lease=s.killer.stops_outlasting_the_lease,
            faults=s.proxy.faults.counts,
            requests=s.proxy.faults.requests,
            recoveries=recoveries(journal, first_seen),
            gaps=s.pods.gaps + s.jobs.gaps + s.shown.gaps,
            violations=violations,
            missed="" if s.killer.kills >= plan.kills and len(submitted) >= plan.workflows else reached,
        )


@contextmanager
def scene(plan: Plan, say: Say, deadline: float) -> Iterator[Scene]:
    """Everything in place; and in the reverse order away."""
    api, state = PatientApi(), state_folder()
    with ExitStack() as stack:
        daemons = (
            stack.enter_context(Daemon(state, "etcd")),
            stack.enter_context(Daemon(state, "kube-apiserver")),
        )
        kinds = {kind: share for kind, share in PER_MILLE.items() if kind not in plan.without}
        faults = Faults(plan.seed, per_mille=kinds, is_calm=True)
        host, proxy = stack.enter_context(proxy_before(state / "pki", faults))
        nodes = stack.enter_context(FakeNodes(api))
        stack.enter_context(Route(api, host, proxy.port, replicas=plan.replicas))
        names = stack.enter_context(namespaces(api))
        seen = stack.enter_context(Witness(api, "/api/v1/pods", ours()))
        made = stack.enter_context(Witness(api, "/apis/batch/v1/jobs", ours()))
        shown = stack.enter_context(Witness(api, "/apis/kipu.dev/v1alpha1/workflows"))
        killer = Killer(api, proxy, daemons, plan.seed, when_back=nodes.restart)
        quantity = Quantity(
            count=plan.workflows,
            in_flight_max=plan.in_flight,
            fake_share=plan.fake_share,
            is_wanted=lambda: killer.kills < plan.kills and time.monotonic() < deadline,
        )
        load = stack.enter_context(Load(api, names, quantity, plan.seed, seen, shown))
        yield Scene(
            plan=plan, api=api, proxy=proxy, killer=killer, load=load, pods=seen, jobs=made, shown=shown, say=say
        )


@contextmanager
def proxy_before(pki: Path, faults: Faults) -> Iterator[tuple[str, RunningProxy]]:
    """The proxy on the API server's own address, calm for now."""
    client = config.new_client_from_config()  # type: ignore[no-untyped-call]
    server: str = client.configuration.host
    host = urlsplit(server).hostname or ""
    upstream_tls = ssl.create_default_context(cafile=str(pki / "ca.crt"))
    with tempfile.TemporaryDirectory() as folder:
        tls = issue(pki, Path(folder), [f"IP:{host}", f"DNS:{NAME}"])
        proxy = Proxy(server, faults, upstream_tls=upstream_tls)
        with RunningProxy(proxy, host, PROXY_PORT, tls) as running:
            yield host, running


@contextmanager
def namespaces(api: PatientApi) -> Iterator[list[str]]:
    """Fresh ones, and away with them."""
    names = [f"chaos-{uuid.uuid4().hex[:8]}" for _ in range(NAMESPACES)]
    try:
        for name in names:
            labels = {**ENFORCED, "kipu.dev/e2e": "true"}
            api.ensure("/api/v1/namespaces", {"metadata": {"name": name, "labels": labels}})
            account = f"/api/v1/namespaces/{name}/serviceaccounts/default"
            wait_until(lambda path=account: api.find(path), 30, f"the service account of {name}")  # type: ignore[misc]
        yield names
    finally:
        for name in names:
            api.remove(f"/api/v1/namespaces/{name}")
        gone = [f"/api/v1/namespaces/{name}" for name in names]
        wait_until(lambda: not any(map(api.find, gone)), COLLECTING_SECONDS, "the namespaces are gone")


def strike_until(s: Scene, deadline: float) -> None:
    """Deed after deed until enough have died, or time is up."""
    first = list(s.plan.first)
    while s.killer.kills < s.plan.kills and time.monotonic() < deadline:
        deed = s.killer.commit(first.pop(0)) if first else s.killer.strike()
        check(s.load)
        over = len(s.load.submitted) - len(s.load.in_flight())
        s.say(f"{s.killer.kills:4} kills, {over:4} of {len(s.load.submitted):4} workflows over: {deed}")


def come_to_rest(s: Scene, deadline: float) -> list[Submitted]:
    """The rest of the load under faults, then the calm, until all has ended or will never end."""
    while not (s.load.is_over and not s.load.in_flight()) and time.monotonic() < deadline:
        check(s.load)
        time.sleep(1)
    s.proxy.calm()
    s.say(f"calm: {len(s.load.in_flight())} workflows are not over")
    time.sleep(SETTLING_SECONDS)
    end = time.monotonic() + ENDING_SECONDS
    while s.load.in_flight() and time.monotonic() < end:
        time.sleep(1)
    time.sleep(QUIET_SECONDS)
    check(s.load)
    return list(s.load.submitted)


def check(load: Load) -> None:
    """Whether the load's thread still does what it should."""
    if load.failure is not None:
        raise AssertionError("the load has failed") from load.failure


def judge_all(s: Scene, submitted: Sequence[Submitted]) -> tuple[list[Violation], list[Judgement]]:
    """Every Workflow; what is kept of those that were violated is named."""
    s.say(f"judging {len(submitted)} workflows")
    owner = "kipu.dev/workflow-uid"
    reader = Reader(s.api, s.pods.by_label(owner), s.jobs.by_label(owner), s.shown.by_uid())
    violations, judgements = [], []
    for each in submitted:
        judgement = reader.judge(each)
        judgements.append(judgement)
        name = f"{each.namespace}/{each.name}"
        violations += [Violation(workflow=name, kind=k, detail=d) for k, d in judgement.faults.items()]
        if judgement.faults:
            s.say(f"{name} is violated, see {keep(each, judgement, s.proxy.seen()[0])}")
    return violations, judgements


def collect(api: PatientApi, submitted: Sequence[Submitted]) -> list[Violation]:
    """Delete every Workflow; what owner references do not take away is a violation."""
    for each in submitted:
        api.remove(workflows(each.namespace, each.name))
    names = sorted({each.namespace for each in submitted})
    end = time.monotonic() + COLLECTING_SECONDS
    while (left := what_is_left(api, names)) and time.monotonic() < end:
        time.sleep(1)
    return [
        Violation(workflow=path, kind="left after deletion", detail=f"{count} objects") for path, count in left.items()
    ]


def what_is_left(api: PatientApi, names: Sequence[str]) -> dict[str, int]:
    """Objects of ours, by the path of their list."""
    paths = [path for name in names for path in (workflows(name), jobs(name), pods(name), config_maps(name))]
    counts = {path: len(api.items(path, "" if path.endswith("workflows") else ours())) for path in paths}
    return {path: count for path, count in counts.items() if count}

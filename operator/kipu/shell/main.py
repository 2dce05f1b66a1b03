"""The composition root: settings, clients, log, engine, elector, front, probes; and an orderly end at SIGTERM.

    python -m kipu.shell.main

On SIGTERM nothing is cancelled in the cluster: running Jobs go on, the Lease is released, and the next replica claims
their logs.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import uvloop

from kipu import __version__
from kipu.core.errors import UserError
from kipu.eventlog.configmaps import ConfigMapLog
from kipu.eventlog.ports import EventLog

from . import heap, ownership
from .actor import Services
from .child_performer import ChildPerformer
from .clock import Clock, SystemClock
from .cron import Crons
from .elector import Elector
from .engine import Engine
from .explainer import Explainer
from .handlers import Front
from .kube import Kube
from .kube_cron import CronKube
from .kube_http import HttpTransport, Transport
from .kube_owned import OwnedKube
from .kube_views import WorkflowView, decode_workflow
from .notifier import Notifier
from .observer import Observer
from .performer import Performer
from .publisher import Pace
from .retention import Janitor
from .server import serve
from .settings import Settings, from_environment
from .slots import Slots
from .telemetry import Telemetry
from .upkeep import UPKEEPS_MAX

log = logging.getLogger("kipu")
CRD_PATIENCE_SECONDS = 2.0
WATCHES_OF_AN_AREA = 5  # Jobs, pods, children; CronWorkflows and theirs
STOP_SECONDS = 10.0


def compose(
    kube: OwnedKube,
    event_log: EventLog,
    settings: Settings,
    clock: Clock,
    telemetry: Telemetry,
    owns: ownership.Owns = ownership.everything,
) -> Engine:
    """The engine that ships, over any client and any log. The tests compose it over the fake cluster."""
    observer, loop = Observer(kube, settings.areas), asyncio.get_running_loop()
    services = Services(
        log=event_log,
        kube=kube,
        observer=observer,
        performer=Performer(kube),
        children=ChildPerformer(kube),
        notifier=Notifier(kube, clock, settings.identity),
        explainer=Explainer(kube, observer, telemetry.count_inquiry, settings.areas),
        slots=Slots(
            settings.parallelism,
            telemetry.jobs.set,
            per_namespace=settings.parallelism_per_namespace,
            on_served=telemetry.place_seconds.observe,
            now=loop.time,
        ),
        clock=clock,
        settings=settings,
        telemetry=telemetry,
        janitor=Janitor(kube),
        pace=Pace(settings.status_writes_per_second),
        upkeeps=asyncio.Semaphore(UPKEEPS_MAX),
    )
    engine = Engine(services, owns)
    telemetry.observe(engine.census)
    return engine


@dataclass(frozen=True, slots=True, kw_only=True)
class Replica:
    """One of several operators: an engine, and CronWorkflows, that act only while the elector leads."""

    kube: Kube  # theirs: it refuses to write while another replica leads
    engine: Engine
    crons: Crons
    elector: Elector

    async def run(self) -> None:
        """Observe, stand for the Lease, and serve while leading, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.engine.run(), name="engine")
            group.create_task(self.crons.run(), name="crons")
            group.create_task(self._stand(), name="elector")

    async def _stand(self) -> None:
        await self.engine.synced()
        await self.elector.run()


def compose_replica(
    transport: Transport,
    lease_transport: Transport,
    settings: Settings,
    clock: Clock,
    telemetry: Telemetry,
    make_log: Callable[[Kube], EventLog] = ConfigMapLog,
) -> Replica:
    """The replica that ships. The Lease has connections of its own: no crowd of other requests may delay it."""
    elector = Elector(Kube(lease_transport, meter=telemetry), settings, clock)
    kube = CronKube(transport, meter=telemetry, may_write=lambda: elector.is_leading)
    owns = ownership.while_leading(elector)
    engine = compose(kube, make_log(kube), settings, clock, telemetry, owns)
    crons = Crons(kube, clock, owns, settings.areas)

    def changed(is_leading: bool) -> None:
        telemetry.leader.set(is_leading)
        engine.ownership_changed()
        crons.ownership_changed()

    elector.listen(changed)
    return Replica(kube=kube, engine=engine, crons=crons, elector=elector)


async def operate(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT."""
    telemetry, stop = Telemetry(), asyncio.Event()
    telemetry.observe_process()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    watches = WATCHES_OF_AN_AREA * (len(settings.areas) - 1)  # of the first one is counted already
    transport = HttpTransport.from_environment(connections_more=watches)
    lease_transport = HttpTransport.from_environment()
    replica = compose_replica(transport, lease_transport, settings, SystemClock(), telemetry)

    def inbox(kind: str | None, body: dict[str, Any]) -> None:
        loop.call_soon_threadsafe(deliver, replica.engine, kind, body)

    front = Front(inbox, settings.watch_namespaces)
    runner = await serve(
        settings.http_port,
        live=lambda: what_is_dead(front, replica),
        ready=lambda: "" if front.is_ready and replica.engine.is_synced else "the first lists are not complete",
        telemetry=telemetry,
    )
    log.info("kipu %s is ready to serve as %s", __version__, settings.identity)
    serving = asyncio.create_task(_serve(replica, front), name="replica")
    tending = asyncio.create_task(heap.tend())
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait([serving, stopping], return_when=asyncio.FIRST_COMPLETED)
    log.info("stopping: running Jobs go on, their logs are kept")
    serving.cancel()
    tending.cancel()
    results = await asyncio.gather(serving, return_exceptions=True)
    await replica.elector.release()  # only now: whoever takes over meets nothing of ours under way
    await asyncio.to_thread(front.stop, STOP_SECONDS)
    await runner.cleanup()
    await asyncio.gather(transport.close(), lease_transport.close())
    if not stop.is_set() and isinstance(results[0], BaseException):
        raise results[0]
    stopping.cancel()


async def _serve(replica: Replica, front: Front) -> None:
    while not await replica.kube.serves_workflows():
        log.warning("the API server does not serve workflows.kipu.dev: waiting for the CRD")
        await asyncio.sleep(CRD_PATIENCE_SECONDS)
    front.start()
    await replica.run()


def what_is_dead(front: Front, replica: Replica) -> str:
    """What a restart would mend, or ""."""
    if front.is_ready and not front.is_alive:
        return "the watch of Workflows is dead"
    return "" if replica.elector.is_alive else "the rounds of the Lease have stopped"


def deliver(engine: Engine, kind: str | None, body: dict[str, Any]) -> None:
    """One change of a Workflow, as kopf hands it over, into the engine's inbox."""
    view: WorkflowView = decode_workflow(body)
    if kind == "DELETED":
        engine.workflow_deleted(view.metadata.uid)
    else:
        engine.workflow_changed(view)


def main() -> int:
    """Exit codes: 0 after SIGTERM, 2 for a wrong setting, 1 for anything else."""
    try:
        settings = from_environment(os.environ)
    except UserError as error:
        for problem in error.problems:
            sys.stderr.write(f"kipu: {problem}\n")
        return 2
    logging.basicConfig(level=settings.log_level.value, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    gc.freeze()  # what the modules hold, 80,000 objects: each full collection would walk them, for 50 ms
    uvloop.run(operate(settings))  # ADR 0020
    return 0


if __name__ == "__main__":
    sys.exit(main())

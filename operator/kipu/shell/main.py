"""The composition root: settings, client, log, engine, front, probes; and an orderly end at SIGTERM.

    python -m kipu.shell.main

On SIGTERM nothing is cancelled in the cluster: running Jobs go on, and the next replica claims their logs.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from typing import Any

from kipu import __version__
from kipu.core.errors import UserError
from kipu.eventlog.configmaps import ConfigMapLog
from kipu.eventlog.ports import EventLog

from . import ownership
from .actor import Services
from .clock import Clock, SystemClock
from .engine import Engine
from .handlers import Front
from .kube import Kube
from .kube_http import HttpTransport
from .kube_views import WorkflowView, decode_workflow
from .notifier import Notifier
from .observer import Observer
from .performer import Performer
from .retention import DELETES_IN_FLIGHT_MAX
from .server import serve
from .settings import Settings, from_environment
from .slots import Slots
from .telemetry import Telemetry

log = logging.getLogger("kipu")
CRD_PATIENCE_SECONDS = 2.0
STOP_SECONDS = 10.0


def compose(kube: Kube, event_log: EventLog, settings: Settings, clock: Clock, telemetry: Telemetry) -> Engine:
    """The engine that ships, over any client and any log. The tests compose it over the fake cluster."""
    services = Services(
        log=event_log,
        kube=kube,
        observer=Observer(kube),
        performer=Performer(kube),
        notifier=Notifier(kube, clock, settings.identity),
        slots=Slots(settings.parallelism, telemetry.jobs.set),
        clock=clock,
        settings=settings,
        telemetry=telemetry,
        housekeeping=asyncio.Semaphore(DELETES_IN_FLIGHT_MAX),
    )
    return Engine(services)


async def operate(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT."""
    telemetry, stop = Telemetry(), asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    kube = Kube(HttpTransport.from_environment(), on_reply=telemetry.count_request)
    engine = compose(kube, ConfigMapLog(kube), settings, SystemClock(), telemetry)

    def inbox(kind: str | None, body: dict[str, Any]) -> None:
        loop.call_soon_threadsafe(deliver, engine, kind, body)

    front = Front(inbox)
    runner = await serve(
        settings.http_port,
        live=lambda: "" if front.is_alive or not front.is_ready else "the watch of Workflows is dead",
        ready=lambda: "" if front.is_ready and engine.is_synced else "the first lists are not complete",
        telemetry=telemetry,
    )
    log.info("kipu %s is ready to serve as %s", __version__, settings.identity)
    serving = asyncio.create_task(_serve(kube, engine, front), name="engine")
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait([serving, stopping], return_when=asyncio.FIRST_COMPLETED)
    log.info("stopping: running Jobs go on, their logs are kept")
    serving.cancel()
    results = await asyncio.gather(serving, return_exceptions=True)
    await asyncio.to_thread(front.stop, STOP_SECONDS)
    await runner.cleanup()
    await kube.close()
    if not stop.is_set() and isinstance(results[0], BaseException):
        raise results[0]
    stopping.cancel()


async def _serve(kube: Kube, engine: Engine, front: Front) -> None:
    while not await kube.serves_workflows():
        log.warning("the API server does not serve workflows.kipu.dev: waiting for the CRD")
        await asyncio.sleep(CRD_PATIENCE_SECONDS)
    front.start()
    await engine.run()


def deliver(engine: Engine, kind: str | None, body: dict[str, Any]) -> None:
    """One change of a Workflow, as kopf hands it over, into the engine's inbox."""
    view: WorkflowView = decode_workflow(body)
    if kind == "DELETED":
        engine.workflow_deleted(view.metadata.uid)
    elif ownership.owns(view.metadata.uid):
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
    asyncio.run(operate(settings))
    return 0


if __name__ == "__main__":
    sys.exit(main())

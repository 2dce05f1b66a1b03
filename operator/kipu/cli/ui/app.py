"""The server of the page: its files, the list and what changes in it, one Workflow's history and its steps.

    /SECRET/                                            the page
    /SECRET/static/FILE                                 its files: none but those that were there at the start
    /SECRET/api/about                                   where the Workflows come from
    /SECRET/api/changes                                 server-sent events: the whole list, then what changes
    /SECRET/api/workflows/NAMESPACE/NAME/story?since=N  facts behind position N (facts.py)
    /SECRET/api/workflows/NAMESPACE/NAME/events?from=N&to=M
    /SECRET/api/workflows/NAMESPACE/NAME/steps/NODE?at=N
    /SECRET/api/workflows/NAMESPACE/NAME/steps/NODE/log?attempt=N

Promises: every answer is bounded, by story.py and source.py; an error is JSON with `error`, a sentence for people. Must
never take a path, a pod's name or anything else but numbers and the name of a listed Workflow from a request.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec
from aiohttp import web

from kipu import __version__
from kipu.core.errors import KipuError

from .feed import TooManyListeners
from .guard import Guard, Handler, dress
from .source import NoSuchWorkflow, Source
from .story import Story

STATIC = Path(__file__).parent / "static"
TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
PACE_SECONDS = 0.25  # between two messages to a page
ALIVE_SECONDS = 15.0  # a message at least so often, so that a page that is gone is noticed
POSITION_MAX = 2**31 - 1
SOURCE = web.AppKey("SOURCE", Source)


def build(source: Source, guard: Guard) -> web.Application:
    """The application; who listens says `guard.port`."""
    app = web.Application(middlewares=[guard.middleware(), _tell_errors])
    app[SOURCE] = source
    app.on_response_prepare.append(dress)
    root = f"/{guard.secret}"
    of_one = root + "/api/workflows/{namespace}/{name}"
    app.add_routes(
        [
            web.get("/open/{ticket}", guard.open, allow_head=False),
            web.get(f"{root}/api/about", _about),
            web.get(f"{root}/api/changes", _changes),
            web.get(of_one + "/story", _story),
            web.get(of_one + "/events", _events),
            web.get(of_one + "/steps/{node}", _step),
            web.get(of_one + "/steps/{node}/log", _log),
            *_files(root),
        ]
    )
    return app


def _files(root: str) -> list[web.RouteDef]:
    found = {file.relative_to(STATIC).as_posix(): file for file in STATIC.rglob("*") if file.suffix in TYPES}
    routes = [web.get(f"{root}/static/{name}", _file(file)) for name, file in sorted(found.items())]
    return [web.get(f"{root}/", _file(STATIC / "index.html")), *routes]


def _file(file: Path) -> Handler:
    content = file.read_bytes()

    async def answer(_request: web.Request) -> web.StreamResponse:
        return web.Response(body=content, content_type=TYPES[file.suffix], charset="utf-8")

    return answer


@web.middleware
async def _tell_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except NoSuchWorkflow as error:
        return _json({"error": str(error)}, status=404)
    except KipuError as error:
        return _json({"error": str(error)}, status=502)


def _json(told: object, status: int = 200) -> web.Response:
    return web.Response(body=msgspec.json.encode(told), status=status, content_type="application/json")


async def _about(request: web.Request) -> web.StreamResponse:
    source = request.app[SOURCE]
    return _json({"label": source.label, "version": __version__, "trouble": source.feed.trouble})


async def _story(request: web.Request) -> web.StreamResponse:
    since, story = _number(request.query.get("since", "0")), await _asked(request)
    return _json(story.since(since if since <= story.position else 0))


async def _events(request: web.Request) -> web.StreamResponse:
    first, last = _number(request.query.get("from", "1")), _number(request.query.get("to", "1"))
    return _json((await _asked(request)).rows(first, last))


async def _step(request: web.Request) -> web.StreamResponse:
    at = _number(request.query.get("at", str(POSITION_MAX)))
    node = _number(request.match_info["node"])
    return _json((await _asked(request)).step(node, at))


async def _log(request: web.Request) -> web.StreamResponse:
    node, attempt = _number(request.match_info["node"]), _number(request.query.get("attempt", "1"))
    story = await _asked(request)
    if (pod := story.pod(node, attempt)) is None:
        return _json({"text": "", "trouble": "the history names no pod of this attempt"})
    tail = await request.app[SOURCE].tail(story.stream.namespace, pod)
    return _json({"text": tail.text, "trouble": tail.trouble, "pod": pod})


async def _asked(request: web.Request) -> Story:
    return await request.app[SOURCE].story(request.match_info["namespace"], request.match_info["name"])


def _number(text: str) -> int:
    """From 0 to POSITION_MAX."""
    if not (text.isascii() and text.isdigit()) or len(text) > 10 or int(text) > POSITION_MAX:
        raise web.HTTPBadRequest(text="not a number\n")
    return int(text)


async def _changes(request: web.Request) -> web.StreamResponse:
    """Until the page or the server ends."""
    try:
        with request.app[SOURCE].feed.listening() as listener:
            response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
            await response.prepare(request)
            while not listener.is_closed:
                try:
                    message = b"data: " + msgspec.json.encode(await asyncio.wait_for(listener.take(), ALIVE_SECONDS))
                except TimeoutError:
                    message = b": still here"
                await response.write(message + b"\n\n")
                await asyncio.sleep(PACE_SECONDS)
            return response
    except TooManyListeners:
        return _json({"error": "too many pages are open: close one"}, status=503)
    except ConnectionError:
        return response

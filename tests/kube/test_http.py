"""The transport against a scripted HTTP server on this machine: connections, deadlines, tokens, configuration."""

from __future__ import annotations

import asyncio
import base64
from pathlib import Path

import pytest
import yaml
from aiohttp import web

from kipu.core.errors import UserError
from kipu.eventlog.ports import Unanswered
from kipu.shell import kube_http
from kipu.shell.kube_http import Endpoint, HttpTransport, Request, from_kubeconfig, in_cluster
from tests.kube.serving import GET, Handler, serving


async def _lines(transport: HttpTransport, seconds: float = 5) -> list[bytes]:
    async with transport.stream(GET, timeout_seconds=seconds) as (status, lines):
        assert status == 200
        return [line async for line in lines]


# -- requests ---------------------------------------------------------------------------------------------


async def test_a_request_arrives_as_it_was_given() -> None:
    seen: list[tuple[object, ...]] = []

    async def handler(request: web.Request) -> web.Response:
        headers = request.headers
        seen.append((request.method, request.raw_path, await request.read(), headers["Content-Type"]))
        seen.append((headers["Accept-Encoding"], headers["Accept"], "Authorization" in headers))
        return web.Response(status=422, body=b"{}", headers={"Retry-After": "7"})

    async with serving(handler) as transport:
        request = Request(
            method="PATCH",
            path="/api/v1/a%2Fb",
            query={"labelSelector": "a in (b, c),d!=é"},
            body=b"[]",
            content_type="application/json-patch+json",
            accept="application/json;as=X",
        )
        reply = await transport.send(request, timeout_seconds=5)
    path = "/api/v1/a%2Fb?labelSelector=a%20in%20%28b%2C%20c%29%2Cd%21%3D%C3%A9"
    assert seen[0] == ("PATCH", path, b"[]", "application/json-patch+json")
    assert seen[1] == ("identity", "application/json;as=X", False)
    assert (reply.status, reply.body, reply.headers["retry-after"]) == (422, b"{}", "7")


async def test_connections_are_kept_and_their_number_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kube_http, "CONNECTIONS_MAX", 4)
    ports = set()

    async def handler(request: web.Request) -> web.Response:
        assert request.transport is not None
        ports.add(request.transport.get_extra_info("peername")[1])
        await asyncio.sleep(0.001)
        return web.Response()

    async with serving(handler) as transport:
        await asyncio.gather(*(transport.send(GET, timeout_seconds=5) for _ in range(40)))
    assert 1 <= len(ports) <= 4


async def test_whoever_watches_more_has_as_many_connections_more() -> None:
    begun, all_begun = 0, asyncio.Event()

    async def handler(_request: web.Request) -> web.Response:
        nonlocal begun
        begun += 1
        if begun == kube_http.CONNECTIONS_MAX + 3:
            all_begun.set()
        await all_begun.wait()
        return web.Response()

    async with serving(handler, connections_more=3) as transport:
        sent = (transport.send(GET, timeout_seconds=10) for _ in range(kube_http.CONNECTIONS_MAX + 3))
        assert {reply.status for reply in await asyncio.gather(*sent)} == {200}


async def test_a_large_body_arrives_whole() -> None:
    async def handler(request: web.Request) -> web.Response:
        return web.Response(body=str(len(await request.read())).encode())

    async with serving(handler) as transport:
        request = Request(method="POST", path="/x", body=b"x" * 2_000_000)
        assert (await transport.send(request, timeout_seconds=5)).body == b"2000000"


async def test_a_redirect_is_an_answer_and_not_followed() -> None:
    async def handler(request: web.Request) -> web.Response:
        raise web.HTTPFound("/elsewhere")

    async with serving(handler) as transport:
        assert (await transport.send(GET, timeout_seconds=5)).status == 302


async def test_silence_past_the_deadline_is_unanswered() -> None:
    async def handler(request: web.Request) -> web.Response:
        await asyncio.sleep(30)
        return web.Response()

    async with serving(handler) as transport:
        with pytest.raises(Unanswered, match="GET /x"):
            await transport.send(GET, timeout_seconds=0.05)


async def test_a_cut_connection_is_unanswered() -> None:
    async def handler(request: web.Request) -> web.Response:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    async with serving(handler) as transport:
        for method in ("GET", "POST"):
            with pytest.raises(Unanswered):
                await transport.send(Request(method=method, path="/x"), timeout_seconds=5)


async def test_half_an_answer_is_unanswered() -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "100"})
        await response.prepare(request)
        await response.write(b'{"half":')
        assert request.transport is not None
        request.transport.close()
        return response

    async with serving(handler) as transport:
        with pytest.raises(Unanswered):
            await transport.send(GET, timeout_seconds=5)


async def test_nobody_listening_is_unanswered() -> None:
    transport = HttpTransport(Endpoint(server="http://127.0.0.1:1"))
    with pytest.raises(Unanswered):
        await transport.send(GET, timeout_seconds=5)
    with pytest.raises(Unanswered):
        await _lines(transport)
    await transport.close()


# -- streams ----------------------------------------------------------------------------------------------


def streaming(*chunks: bytes, abort: bool = False, silence_seconds: float = 0) -> Handler:
    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for chunk in chunks:
            await response.write(chunk)
            await asyncio.sleep(0.01)
        await asyncio.sleep(silence_seconds)
        if abort:
            assert request.transport is not None
            request.transport.abort()
        return response

    return handler


async def test_lines_come_whole_however_they_were_cut() -> None:
    long = b"x" * 300_000
    async with serving(streaming(b"a\nb", b"b\n\xc3", b"\xa4\n", long, long + b"\nlast")) as transport:
        assert await _lines(transport) == [b"a", b"bb", "ä".encode(), long + long, b"last"]


async def test_a_line_without_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kube_http, "LINE_BYTES_MAX", 1_000)
    async with serving(streaming(b"a\n", b"x" * 1_001)) as transport:
        with pytest.raises(Unanswered, match="1000 bytes"):
            await _lines(transport)


async def test_a_reset_or_silent_stream_is_unanswered() -> None:
    async with serving(streaming(b"a\n", abort=True)) as transport:
        with pytest.raises(Unanswered):
            await _lines(transport)
    async with serving(streaming(b"a\n", silence_seconds=30)) as transport:
        with pytest.raises(Unanswered):
            await _lines(transport, seconds=0.1)


async def test_leaving_a_stream_closes_its_connection() -> None:
    closed = asyncio.Event()

    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            while True:
                await response.write(b"a\n")
                await asyncio.sleep(0.01)
        finally:
            closed.set()

    async with serving(handler) as transport:
        async with transport.stream(GET, timeout_seconds=5) as (_, lines):
            assert await anext(lines) == b"a"
        await asyncio.wait_for(closed.wait(), 5)


async def test_a_refused_stream_tells_its_status() -> None:
    async def handler(request: web.Request) -> web.Response:
        return web.Response(status=410, body=b'{"kind":"Status"}')

    async with (
        serving(handler) as transport,
        transport.stream(GET, timeout_seconds=5) as (status, lines),
    ):
        assert (status, [line async for line in lines]) == (410, [b'{"kind":"Status"}'])


# -- tokens -----------------------------------------------------------------------------------------------


def checking(valid: list[str], seen: list[str]) -> Handler:
    async def handler(request: web.Request) -> web.Response:
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        seen.append(token)
        return web.Response(status=200 if token in valid else 401)

    return handler


async def test_a_newer_token_is_read_at_a_401_and_the_request_sent_once_more(tmp_path: Path) -> None:
    file, seen, valid = tmp_path / "token", list[str](), ["one"]
    file.write_text("one\n")
    async with serving(checking(valid, seen), token_file=file) as transport:
        assert (await transport.send(GET, timeout_seconds=5)).status == 200
        file.write_text("two\n")
        assert (await transport.send(GET, timeout_seconds=5)).status == 200
        valid[:] = ["two"]
        assert (await transport.send(GET, timeout_seconds=5)).status == 200
        valid[:] = []
        assert (await transport.send(GET, timeout_seconds=5)).status == 401
    assert seen == ["one", "one", "one", "two", "two"]


async def test_the_token_is_read_anew_in_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kube_http, "TOKEN_SECONDS", 0.0)
    file, seen = tmp_path / "token", list[str]()
    async with serving(checking(["one", "two"], seen), token_file=file, token="zero") as transport:
        for text in ("one", "two"):
            file.write_text(text)
            await transport.send(GET, timeout_seconds=5)
        file.unlink()  # for a moment, while it is replaced
        await transport.send(GET, timeout_seconds=5)
    assert seen == ["one", "two", "two"]


async def test_a_stream_reads_a_newer_token_at_a_401(tmp_path: Path) -> None:
    file, seen = tmp_path / "token", list[str]()
    file.write_text("old")
    async with serving(checking(["new"], seen), token_file=file) as transport:
        for expected in (401, 200):
            async with transport.stream(GET, timeout_seconds=5) as (status, _):
                assert status == expected
            file.write_text("new")
            await transport.send(GET, timeout_seconds=5)
    assert seen[0] == "old"


# -- configuration ----------------------------------------------------------------------------------------


def test_a_pod_finds_its_api_server(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("t\n")
    (tmp_path / "ca.crt").write_text("CA")
    endpoint = in_cluster({"KUBERNETES_SERVICE_HOST": "fd00::1", "KUBERNETES_SERVICE_PORT": "6443"}, tmp_path)
    assert endpoint == Endpoint(server="https://[fd00::1]:6443", ca="CA", token="t", token_file=tmp_path / "token")
    assert in_cluster({"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, tmp_path).server == "https://10.0.0.1:443"


def test_a_pod_without_a_service_account_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be read"):
        in_cluster({"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, tmp_path)


def test_nothing_to_connect_to_is_told() -> None:
    with pytest.raises(UserError, match="KUBECONFIG: is not set"):
        HttpTransport.from_environment({})


def kubeconfig(path: Path, user: object, **cluster: object) -> Path:
    file = path / "config"
    config = {
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}],
        "clusters": [{"name": "k", "cluster": {"server": "https://10.0.0.1:6443/", **cluster}}],
        "users": [{"name": "u", "user": user}],
    }
    file.write_text(yaml.safe_dump(config))
    return file


def test_a_kubeconfig_with_certificates(tmp_path: Path) -> None:
    (tmp_path / "ca.crt").write_text("CA")
    inline = {f"client-{kind}-data": base64.b64encode(kind.encode()).decode() for kind in ("certificate", "key")}
    endpoint = from_kubeconfig(kubeconfig(tmp_path, inline, **{"certificate-authority": "ca.crt"}))
    assert endpoint == Endpoint(server="https://10.0.0.1:6443", ca="CA", client_cert="certificate", client_key="key")


def test_a_kubeconfig_with_a_token(tmp_path: Path) -> None:
    assert from_kubeconfig(kubeconfig(tmp_path, {"token": "t"})).token == "t"
    assert from_kubeconfig(kubeconfig(tmp_path, {"tokenFile": "t"})).token_file == tmp_path / "t"


@pytest.mark.parametrize("key", ["exec", "auth-provider", "username", "impersonate"])
def test_a_user_that_needs_a_program_or_a_password_is_refused_by_name(tmp_path: Path, key: str) -> None:
    with pytest.raises(UserError, match=f"'{key}' is not supported"):
        from_kubeconfig(kubeconfig(tmp_path, {key: {}}))


def test_a_cluster_without_verification_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="insecure-skip-tls-verify"):
        from_kubeconfig(kubeconfig(tmp_path, {"token": "t"}, **{"insecure-skip-tls-verify": True}))


@pytest.mark.parametrize("text", ["", "{", "current-context: x", "{current-context: c, contexts: []}", "[]"])
def test_what_is_no_kubeconfig_is_told_so(tmp_path: Path, text: str) -> None:
    file = tmp_path / "config"
    file.write_text(text)
    with pytest.raises(UserError, match="is not a kubeconfig"):
        from_kubeconfig(file)


def test_broken_inline_data_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="client-key"):
        from_kubeconfig(kubeconfig(tmp_path, {"client-key-data": "!"}))


def test_no_secret_is_shown_in_a_representation() -> None:
    assert "hush" not in repr(Endpoint(server="https://x", token="hush", client_key="hush"))

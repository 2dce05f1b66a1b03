"""The transport under the one Kubernetes client: requests out, replies and streams of lines in.

Promises: HTTP/1.1 over kept-alive connections, at most `CONNECTIONS_MAX` at once and what its maker adds; every
request has a deadline; whatever goes wrong before a whole answer is there is Unanswered; the token is read anew every
minute and after a 401. Must never retry on its own (but once after a 401 with a newer token: nothing was carried
out), and never look into a body. Tests put `tests/fakes` in its place.
"""

from __future__ import annotations

import asyncio
import base64
import io
import os
import ssl
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote, urlencode

import aiohttp
import yaml
from yarl import URL

from kipu import __version__
from kipu.core.errors import Problem, UserError
from kipu.eventlog.ports import Unanswered

CONNECTIONS_MAX = 64  # 32 creates in flight + 16 logs being read + 3 watches + commits and status, with room
KEEP_ALIVE_SECONDS = 60.0
CONNECT_SECONDS = 5.0
TOKEN_SECONDS = 60.0  # a projected token is replaced at 80% of its hour: a minute late is early enough
CHUNKED_BYTES_MIN = 512 * 1024
LINE_BYTES_MAX = 16 * 1024 * 1024  # etcd takes 1.5 MiB an object; a watch line holds one, escaped at worst 6-fold
SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One HTTP request. `path` is percent-encoded already; `query` is not."""

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    content_type: str = "application/json"
    accept: str = "application/json"

    @property
    def target(self) -> str:
        """Path and query as they stand in the request line."""
        return f"{self.path}?{urlencode(self.query, quote_via=quote)}" if self.query else self.path


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """A whole answer. Header names are looked up in any case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Transport(Protocol):
    """What carries requests to an API server."""

    async def send(self, request: Request, *, timeout_seconds: float) -> Reply:
        """The whole answer within `timeout_seconds`. Raises Unanswered; an HTTP error status is an answer."""

    def stream(
        self, request: Request, *, timeout_seconds: float
    ) -> AbstractAsyncContextManager[tuple[int, AsyncIterator[bytes]]]:
        """The status, and the lines of the body as they come, without their line ends.

        `timeout_seconds` bounds the wait for the answer and every silence after it. Entering and iterating
        raise Unanswered; the iterator ends when the server closes the stream.
        """

    async def close(self) -> None:
        """Close every connection."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Where the API server is and who we are there. Certificates and keys are PEM text."""

    server: str  # "https://10.96.0.1:443", no trailing slash
    ca: str | None = None  # None: the system's authorities
    client_cert: str | None = None
    client_key: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)
    token_file: Path | None = None  # wins over `token`


class _Response(aiohttp.ClientResponse):
    """An answer whose connection, when it is given up before its end, is cut.

    Closed politely a connection under TLS stays open for the server's farewell, for 30 s where none comes: longer
    than a loop may live.
    """

    def close(self) -> None:
        if self.connection is not None and self.connection.transport is not None:
            self.connection.transport.abort()
        super().close()


class HttpTransport:
    """The Transport that ships. Used from one event loop."""

    def __init__(self, endpoint: Endpoint, *, connections_more: int = 0) -> None:
        self._endpoint = endpoint
        self._connections_max = CONNECTIONS_MAX + connections_more
        self._tls = _tls(endpoint)
        self._token = _Token(endpoint)
        self._session: aiohttp.ClientSession | None = None

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ, *, connections_more: int = 0) -> HttpTransport:
        """In a pod, its service account; else the file that KUBECONFIG names. Raises UserError."""
        if "KUBERNETES_SERVICE_HOST" in environ:
            return cls(in_cluster(environ), connections_more=connections_more)
        if environ.get("KUBECONFIG"):
            return cls(from_kubeconfig(Path(environ["KUBECONFIG"])), connections_more=connections_more)
        raise UserError((Problem(path="KUBECONFIG", reason="is not set, and this is not a pod"),))

    async def send(self, request: Request, *, timeout_seconds: float) -> Reply:
        """See Transport."""
        timeout = aiohttp.ClientTimeout(total=timeout_seconds)
        try:
            async with self._begin(request, timeout) as response:
                body = await response.read()
            if response.status == 401 and self._token.refresh():
                async with self._begin(request, timeout) as response:
                    body = await response.read()
        except (aiohttp.ClientError, OSError) as error:  # TimeoutError is an OSError
            raise _unanswered(request, error) from error
        return Reply(status=response.status, headers=response.headers, body=body)

    @asynccontextmanager
    async def stream(
        self, request: Request, *, timeout_seconds: float
    ) -> AsyncIterator[tuple[int, AsyncIterator[bytes]]]:
        """See Transport."""
        timeout = aiohttp.ClientTimeout(total=None, connect=timeout_seconds, sock_read=timeout_seconds)
        try:
            response = await self._begin(request, timeout)
        except (aiohttp.ClientError, OSError) as error:
            raise _unanswered(request, error) from error
        try:
            if response.status == 401:
                self._token.refresh()  # the caller comes again
            yield response.status, _lines(request, response.content)
        finally:
            response.close()  # the body is unread: this connection is of no use to anybody else

    async def close(self) -> None:
        """See Transport."""
        if self._session is not None:
            await self._session.close()

    def _begin(self, request: Request, timeout: aiohttp.ClientTimeout) -> Any:
        headers = {"Accept": request.accept}
        if request.body is not None:
            headers["Content-Type"] = request.content_type
        if token := self._token.read():
            headers["Authorization"] = f"Bearer {token}"
        body: bytes | io.BytesIO | None = request.body
        if request.body is not None and len(request.body) > CHUNKED_BYTES_MIN:
            body = io.BytesIO(request.body)  # sent in pieces: other requests go on meanwhile
        url = URL(self._endpoint.server + request.target, encoded=True)
        return self._open_session().request(
            request.method, url, data=body, headers=headers, timeout=timeout, allow_redirects=False
        )

    def _open_session(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    limit=self._connections_max, keepalive_timeout=KEEP_ALIVE_SECONDS, ssl=self._tls or True
                ),
                headers={
                    "Accept-Encoding": "identity",
                    "User-Agent": f"kipu/{__version__}",
                },
                cookie_jar=aiohttp.DummyCookieJar(),
                response_class=_Response,
            )
        return self._session


async def _lines(request: Request, content: aiohttp.StreamReader) -> AsyncIterator[bytes]:
    """Lines of any length up to the bound; the last one may lack its end."""
    rest = b""
    try:
        async for chunk in content.iter_any():
            *lines, rest = (rest + chunk if rest else chunk).split(b"\n")
            for line in lines:
                yield line
            if len(rest) > LINE_BYTES_MAX:
                raise Unanswered(f"{request.method} {request.path}: a line of more than {LINE_BYTES_MAX} bytes")
    except (aiohttp.ClientError, OSError) as error:
        raise _unanswered(request, error) from error
    if rest:
        yield rest


def _unanswered(request: Request, error: Exception) -> Unanswered:
    return Unanswered(f"{request.method} {request.path}: {type(error).__name__}: {error}".rstrip(": "))


# -- who we are -------------------------------------------------------------------------------------------


class _Token:
    """The bearer token, fresh enough."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._file = endpoint.token_file
        self._token = endpoint.token
        self._read_at: float | None = None

    def read(self) -> str | None:
        """The token to send now."""
        if self._file is not None:
            now = asyncio.get_running_loop().time()
            if self._read_at is None or now - self._read_at >= TOKEN_SECONDS:
                self._read_at = now
                self.refresh()
        return self._token

    def refresh(self) -> bool:
        """Read the file; whether there is a newer token now."""
        if self._file is None:
            return False
        known = self._token
        try:
            self._token = self._file.read_text().strip()
        except OSError:
            return False  # it is being replaced: the known one holds for a while
        return self._token != known


def in_cluster(environ: Mapping[str, str], account: Path = SERVICE_ACCOUNT) -> Endpoint:
    """The endpoint of a pod. Raises UserError when the service account is not mounted."""
    host, port = environ["KUBERNETES_SERVICE_HOST"], environ.get("KUBERNETES_SERVICE_PORT", "443")
    token_file = account / "token"
    try:
        ca = (account / "ca.crt").read_text()
        token = token_file.read_text().strip()
    except OSError as error:
        raise UserError((Problem(path=str(account), reason=f"cannot be read: {error}"),)) from error
    return Endpoint(
        server=f"https://{f'[{host}]' if ':' in host else host}:{port}", ca=ca, token=token, token_file=token_file
    )


def from_kubeconfig(path: Path) -> Endpoint:
    """The current context of one kubeconfig with a static certificate or token. Raises UserError."""
    try:
        config = yaml.safe_load(path.read_text())
        context = _named(config, "context", config["current-context"])
        cluster = _named(config, "cluster", context["cluster"])
        user = _named(config, "user", context["user"])
        server = cluster["server"]
    except (OSError, yaml.YAMLError, KeyError, TypeError, StopIteration) as error:
        reason = f"is not a kubeconfig with a current context: {type(error).__name__}: {error}"
        raise UserError((Problem(path=str(path), reason=reason),)) from error
    foreign = sorted(set(user) - {"client-certificate", "client-key", "token", "tokenFile"} - _DATA)
    if foreign or cluster.get("insecure-skip-tls-verify"):
        what = ", ".join(foreign) or "insecure-skip-tls-verify"
        hint = "give a user with a client certificate or a token"
        raise UserError((Problem(path=str(path), reason=f"'{what}' is not supported", hint=hint),))
    return Endpoint(
        server=server.rstrip("/"),
        ca=_pem(cluster, "certificate-authority", path),
        client_cert=_pem(user, "client-certificate", path),
        client_key=_pem(user, "client-key", path),
        token=user.get("token"),
        token_file=path.parent / user["tokenFile"] if "tokenFile" in user else None,
    )


_DATA = {"client-certificate-data", "client-key-data"}


def _named(config: Mapping[str, Any], kind: str, name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(entry[kind] for entry in config[f"{kind}s"] if entry["name"] == name)
    return found


def _pem(entry: Mapping[str, str], key: str, kubeconfig: Path) -> str | None:
    """Inline data, or the file that is named relative to the kubeconfig."""
    try:
        if f"{key}-data" in entry:
            return base64.b64decode(entry[f"{key}-data"], validate=True).decode()
        return (kubeconfig.parent / entry[key]).read_text() if key in entry else None
    except (OSError, ValueError) as error:
        raise UserError((Problem(path=str(kubeconfig), reason=f"{key}: {error}"),)) from error


def _tls(endpoint: Endpoint) -> ssl.SSLContext | None:
    if not endpoint.server.startswith("https://"):
        return None
    context = ssl.create_default_context(cadata=endpoint.ca)
    if endpoint.client_cert is not None and endpoint.client_key is not None:
        with tempfile.TemporaryDirectory() as directory:  # ssl reads keys from files only; mode 0700
            certificate, key = Path(directory, "tls.crt"), Path(directory, "tls.key")
            certificate.write_text(endpoint.client_cert)
            key.write_text(endpoint.client_key)
            context.load_cert_chain(certificate, key)
    return context

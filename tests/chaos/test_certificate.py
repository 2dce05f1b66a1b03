"""The proxy under a certificate of the cluster's authority, as a pod's client verifies it."""

from __future__ import annotations

from pathlib import Path

import pytest

from e2e.chaos.certificate import issue
from e2e.chaos.faults import Faults
from e2e.chaos.proxy import Proxy
from kipu.eventlog.ports import Unanswered
from kipu.shell.kube_http import Endpoint, HttpTransport
from tests.authority import make_authority, needs_openssl

from .world import CREATE, LOOPBACK

pytestmark = needs_openssl


@pytest.fixture
def pki(tmp_path: Path) -> Path:
    """An authority such as pki.sh makes."""
    make_authority(tmp_path)
    return tmp_path


@pytest.mark.parametrize(("name", "is_trusted"), [(f"IP:{LOOPBACK}", True), ("DNS:kubernetes", False)])
async def test_a_client_trusts_the_proxy_under_its_names_only(pki: Path, name: str, is_trusted: bool) -> None:
    proxy = Proxy(f"http://{LOOPBACK}:1", Faults(1, is_calm=True))
    port = await proxy.start(LOOPBACK, 0, tls=issue(pki, pki, [name]))
    transport = HttpTransport(Endpoint(server=f"https://{LOOPBACK}:{port}", ca=(pki / "ca.crt").read_text()))
    try:
        with pytest.raises(Unanswered) as failure:
            await transport.send(CREATE, timeout_seconds=20)
    finally:
        await transport.close()
        await proxy.close()
    # Nobody is behind the proxy: a client that trusts it has come as far as that, and is in the journal.
    assert len(proxy.journal) == (1 if is_trusted else 0), failure.value

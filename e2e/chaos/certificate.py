"""A certificate for the proxy, signed by the cluster's own authority, as e2e/cluster/pki.sh signs the API server's.

Promises: nothing is written but into the given folder; the authority's key is read by openssl and by nobody else.
Only for the local cluster: a kind cluster keeps its authority in a container.
"""

from __future__ import annotations

import ssl
import subprocess
from collections.abc import Sequence
from pathlib import Path

DAYS = 2


def issue(pki: Path, into: Path, names: Sequence[str]) -> ssl.SSLContext:
    """The server's side of TLS under these names (`IP:10.0.0.1`, `DNS:kubernetes`)."""
    key, request, extensions, certificate = (into / name for name in ("tls.key", "tls.csr", "tls.ext", "tls.crt"))
    extensions.write_text(f"extendedKeyUsage=serverAuth\nsubjectAltName={','.join(names)}\n")
    _openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", str(key))
    _openssl("req", "-new", "-key", str(key), "-subj", "/CN=kipu-chaos", "-out", str(request))
    authority = ("-CA", str(pki / "ca.crt"), "-CAkey", str(pki / "ca.key"), "-set_serial", str(_serial()))
    signed = ("-in", str(request), "-out", str(certificate), "-days", str(DAYS), "-extfile", str(extensions))
    _openssl("x509", "-req", *authority, *signed)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context


def _serial() -> int:
    """Apart from those that pki.sh counts."""
    return int.from_bytes(ssl.RAND_bytes(8), "big") | 1 << 63


def _openssl(*arguments: str) -> None:
    done = subprocess.run(["openssl", *arguments], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise AssertionError(f"openssl {arguments[0]} failed: {done.stderr}")

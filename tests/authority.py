"""An authority for certificates such as `e2e/cluster/pki.sh` makes, for tests of TLS on this machine."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="the local cluster needs openssl, this too")


def make_authority(folder: Path) -> None:
    """`ca.key` and `ca.crt` in the folder."""
    key, certificate = folder / "ca.key", folder / "ca.crt"
    for arguments in (
        ["ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", key],
        ["req", "-x509", "-new", "-key", key, "-subj", "/CN=an-authority", "-days", "2", "-out", certificate],
    ):
        subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)

"""The front as the image runs it: a user id that has no name. In a process of its own, since kopf has a thread."""

from __future__ import annotations

import os
import subprocess
import sys

PROGRAM = """
import getpass

from kipu.shell.handlers import Front

def nameless():
    raise KeyError("getpwuid(): uid not found: 65532")

getpass.getuser = nameless
front = Front(lambda kind, body: None)
front.start()
assert front._ready.wait(10)
front.stop(10)
assert not front.is_alive
"""


def test_the_front_starts_as_a_user_that_has_no_name() -> None:
    environment = {key: value for key, value in os.environ.items() if key not in ("POD_ID", "KUBECONFIG")}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr

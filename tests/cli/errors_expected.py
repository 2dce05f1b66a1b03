"""What a command would end with, in words."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from kipu.cli.errors import CannotTell


def told(deed: Callable[[], object]) -> str:
    with pytest.raises(CannotTell) as error:
        deed()
    return str(error.value)

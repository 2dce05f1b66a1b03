"""The last step of `make sbom`: the version of the product, and a look whether the list is that of the lock.

    python -m tests.supply.sbom build/sbom.cdx.json

Promises: every package that the lock has for this platform is there at its version, and no other; or it fails. What
the image's base holds is not in this list: ask a scanner of images.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import kipu
from tests.supply.locks import IMAGE, Locked, locked


def faults(bom: Mapping[str, Any], lock: list[Locked]) -> list[str]:
    """What is missing, at another version, or too much."""
    there = {normal(each["name"]): each.get("version", "") for each in bom["components"]}
    asked = {each.name: each for each in lock}
    return [
        *(f"{name}: not in the list" for name, each in asked.items() if name not in there and not each.marker),
        *(f"{name} {version}: not in the lock" for name, version in there.items() if name not in asked),
        *(
            f"{name}: {there[name]} in the list, {each.version} in the lock"
            for name, each in asked.items()
            if there.get(name, each.version) != each.version
        ),
    ]


def normal(name: str) -> str:
    """As the locks write it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def finish(file: Path, lock: list[Locked]) -> list[str]:
    """Write the product's version, which pyproject.toml leaves to the code; returns the faults."""
    bom = json.loads(file.read_text(encoding="utf-8"))
    bom["metadata"]["component"]["version"] = kipu.__version__
    file.write_text(json.dumps(bom, indent=2) + "\n", encoding="utf-8")
    return faults(bom, lock)


if __name__ == "__main__":
    found = finish(Path(sys.argv[1]), locked(IMAGE))
    sys.stdout.writelines(f"{fault}\n" for fault in found)
    sys.stdout.write(f"{sys.argv[1]}: {len(locked(IMAGE))} packages of requirements.lock, {len(found)} faults\n")
    sys.exit(bool(found))

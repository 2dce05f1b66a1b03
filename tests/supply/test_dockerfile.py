"""The image as its Dockerfile says: nobody in particular, nothing but the locked packages and our code, no shell."""

from __future__ import annotations

import re

import yaml

from tests.supply.locks import ROOT

TEXT = (ROOT / "Dockerfile").read_text(encoding="utf-8")
LINES = [line for line in TEXT.replace("\\\n", " ").splitlines() if line and not line.startswith("#")]
LAST = LINES[max(number for number, line in enumerate(LINES) if line.startswith("FROM ")) :]


def test_it_runs_as_a_number_that_is_nobody_and_the_chart_says_the_same() -> None:
    (user,) = [line for line in LAST if line.startswith("USER ")]
    number, group = re.fullmatch(r"USER (\d+):(\d+)", user).groups()  # type: ignore[union-attr]
    assert int(number) > 10_000
    helpers = (ROOT / "charts/kipu/templates/_helpers.tpl").read_text(encoding="utf-8")
    security = yaml.safe_load(re.search(r'"kipu.podSecurity" -}}\n(.*?)\n{{', helpers, re.DOTALL)[1])  # type: ignore[index]
    assert (security["runAsUser"], security["runAsGroup"]) == (int(number), int(group))


def test_its_base_is_pinned_and_is_the_same_in_every_stage() -> None:
    (base,) = re.findall(r"^ARG BASE_IMAGE=(\S+)$", TEXT, re.MULTILINE)
    assert re.fullmatch(r"[a-z./-]+:\d+\.\d+\.\d+[\w.-]*@sha256:[0-9a-f]{64}", base)
    froms = {line.split()[1] for line in LINES if line.startswith("FROM ")}
    assert froms == {"${BASE_IMAGE}", "dependencies"}


def test_every_package_comes_from_the_lock_by_its_hash() -> None:
    installs = [line for line in LINES if "pip" in line and " install " in line]
    assert len(installs) == 2
    assert "--require-hashes" in installs[0]
    assert "--no-deps" in installs[1]
    assert not [line for line in LINES if line.startswith("ADD ") or "curl" in line or "apt-get" in line]


def test_what_runs_holds_no_installer_and_needs_no_shell() -> None:
    assert "--without-pip /opt/kipu" in TEXT
    copied = [line for line in LAST if line.startswith("COPY ")]
    assert all("--from=" in line for line in copied)
    (entry,) = [line for line in LAST if line.startswith("ENTRYPOINT ")]
    assert entry.startswith('ENTRYPOINT ["/opt/kipu/bin/python"')


def test_of_this_tree_only_what_is_copied_reaches_the_build() -> None:
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    kept = {line[1:] for line in ignored if line.startswith("!")}
    assert "*" in ignored
    assert kept == {"requirements.lock", "pyproject.toml", "README.md", "LICENSE*", "wheelhouse", "operator"}

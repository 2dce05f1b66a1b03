"""`kipu lint`: what is wrong with manifests, before anybody applies them, in the words of the operator.

Promises: needs no cluster and no network; judges every document of every file, those in a List too; a manifest that is
not ours is passed over. Must never write.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field

from kipu.api.manifests import check

from .errors import CannotTell
from .manifests import Document, Unreadable, read


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is wrong, and where it stands."""

    file: str
    line: int
    kind: str
    name: str
    path: str
    reason: str
    hint: str

    def __str__(self) -> str:
        subject = f"{self.kind}/{self.name}: " if self.kind else ""
        path = f"{self.path}: " if self.path else ""
        return f"{self.file}:{self.line}: {subject}{path}{self.reason}" + (f" ({self.hint})" if self.hint else "")


@dataclass(slots=True)
class Report:
    """What was found in all files."""

    manifests: int = 0  # of ours
    findings: list[Finding] = field(default_factory=list)

    def add(self, file: str, text: bytes) -> None:
        """Judge one file."""
        try:
            for document in read(text):
                for each in _objects(document):
                    self._judge(file, each)
        except Unreadable as error:
            self.findings.append(
                Finding(file=file, line=error.line, kind="", name="", path="", reason=error.why, hint="")
            )

    def _judge(self, file: str, document: Document) -> None:
        verdict = check(document.value) if isinstance(document.value, dict) else None
        if verdict is None:
            return
        self.manifests += 1
        for problem in verdict.problems:
            self.findings.append(
                Finding(
                    file=file,
                    line=document.line(problem.path),
                    kind=verdict.kind,
                    name=verdict.name,
                    path=problem.path,
                    reason=problem.reason,
                    hint=problem.hint,
                )
            )

    def summary(self) -> str:
        """In one line. Raises CannotTell if nothing was judged."""
        if not self.manifests and not self.findings:
            raise CannotTell("no manifest of kipu.dev in these files")
        wrong = len({(found.file, found.kind, found.name) for found in self.findings})
        of_all = f"{self.manifests} manifest{'s' * (self.manifests != 1)}"
        if not self.findings:
            return f"{of_all}, no fault"
        faults = f"{len(self.findings)} fault{'s' * (len(self.findings) != 1)}"
        return f"{of_all}, {faults} in {wrong} of them"

    def as_json(self) -> str:
        """For programs."""
        found = [asdict(finding) for finding in self.findings]
        return json.dumps({"manifests": self.manifests, "problems": found}, indent=2, ensure_ascii=False)


def lint(files: Sequence[tuple[str, bytes]]) -> Report:
    """All of these files, each with its name."""
    report = Report()
    for name, text in files:
        report.add(name, text)
    return report


def _objects(document: Document) -> Iterator[Document]:
    """The document, or what is listed in it."""
    value = document.value
    if isinstance(value, dict) and value.get("kind") == "List" and isinstance(value.get("items"), list):
        for number in range(len(value["items"])):
            yield document.part("items", number)
    else:
        yield document

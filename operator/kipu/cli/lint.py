"""`kipu lint`: what is wrong with manifests, before anybody applies them, in the words of the operator.

Promises: needs no cluster and no network; judges every document of every file, those in a List too; a manifest that is
not ours is passed over. Must never write.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field

from kipu.api.manifests import check
from kipu.api.passthrough import JsonMap

from .errors import CannotTell
from .manifests import Document, Unreadable, read
from .manifests import templates as offered
from .output import as_json

Templates = Mapping[str, JsonMap]  # specs by name


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

    def unreadable(self, file: str, error: Unreadable) -> None:
        """A file, or the rest of it, cannot be read."""
        finding = Finding(file=file, line=error.line, kind="", name="", path="", reason=error.why, hint="")
        self.findings.append(finding)

    def judge(self, file: str, document: Document, templates: Templates) -> None:
        """Judge one manifest."""
        verdict = check(document.value, templates) if isinstance(document.value, dict) else None
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
        return as_json({"manifests": self.manifests, "problems": found})


def lint(files: Sequence[tuple[str, bytes]]) -> Report:
    """All of these files, each with its name."""
    report, found = gather(files)
    templates = offered(document.value for _, document in found)
    for file, document in found:
        report.judge(file, document, templates)
    return report


def gather(files: Sequence[tuple[str, bytes]]) -> tuple[Report, list[tuple[str, Document]]]:
    """What the files hold, each document with its file's name; and a report of what in them cannot be read."""
    report, found = Report(), []
    for file, text in files:
        try:
            for document in read(text):
                found += [(file, each) for each in _objects(document)]
        except Unreadable as error:
            report.unreadable(file, error)
    return report, found


def _objects(document: Document) -> Iterator[Document]:
    """The document, or what is listed in it."""
    value = document.value
    if isinstance(value, dict) and value.get("kind") == "List" and isinstance(value.get("items"), list):
        for number in range(len(value["items"])):
            yield document.part("items", number)
    else:
        yield document

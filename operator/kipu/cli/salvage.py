"""A new Workflow out of an exported file: the same steps, or mended ones; those that have succeeded are not run again.

Adopted is what succeeded in the newest run of the exported log, is still made in the same way, and rests on nothing
that is not adopted itself (core/adoption.py). Promises: the manifest is one that this release takes; its spec is the
file's, or the mended one's, but for `adopt`. Must never talk to a cluster, nor adopt what no verified record says.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from kipu.api import definition as specs
from kipu.api.reuse import template_name
from kipu.api.v1alpha1_base import API_VERSION, KIND
from kipu.core.adoption import adoptable
from kipu.core.definition import Definition
from kipu.core.errors import UserError
from kipu.core.events import StepAdopted, StepCompleted, StepSucceeded
from kipu.core.lifecycle import StepPhase
from kipu.eventlog.ports import Recorded

from .errors import CannotTell
from .transcript import Verdict
from .workflow_file import Manifest

_DONE = StepSucceeded | StepAdopted | StepCompleted


@dataclass(frozen=True, slots=True, kw_only=True)
class Salvage:
    """What to create, and which of its steps are adopted or run, in their order."""

    manifest: Mapping[str, Any]
    adopted: tuple[str, ...]
    runs: tuple[str, ...]
    why_none: str = ""  # what differs for all steps


def salvage(verdict: Verdict, *, name: str | None, namespace: str | None, mended: Manifest | None = None) -> Salvage:
    """The Workflow that goes on where this history ends, as `mended`, if it is given.

    Raises CannotTell when the file has not what that needs.
    """
    recorded = verdict.state.definition
    if recorded is None:
        raise CannotTell(f"Workflow '{verdict.name}' was never accepted: there is nothing to go on with")
    wanted, definition = (
        _of_file(verdict, recorded) if mended is None else (_without_adoption(mended.spec), mended.definition)
    )
    proofs, differs = _proofs(verdict), _differs(definition, recorded)
    unchanged = [] if differs else _unchanged(definition, recorded)
    adopted = adoptable(definition, [step for step in unchanged if step in proofs])
    asked = {key: value for key, value in (("name", name), ("namespace", namespace)) if value}
    if adopted:
        wanted["adopt"] = {
            "workflowUid": verdict.uid,
            "run": verdict.state.run,
            "steps": [_adopted(verdict, step, proofs[step]) for step in adopted],
        }
    return Salvage(
        manifest={
            "apiVersion": API_VERSION,
            "kind": KIND,
            "metadata": {
                "name": verdict.name,
                "namespace": verdict.namespace,
                **({} if mended is None else mended.metadata),
                **asked,
            },
            "spec": wanted,
        },
        adopted=adopted,
        runs=tuple(step.name for step in definition.steps if step.name not in adopted),
        why_none=differs,
    )


def _of_file(verdict: Verdict, recorded: Definition) -> tuple[dict[str, object], Definition]:
    """The spec of the file, and what it means."""
    spec = verdict.enclosed.spec
    if spec is None:
        raise CannotTell("the file holds no spec to run again: only 'kipu export' writes it, of a Workflow as taken up")
    wanted = _without_adoption(spec)
    try:
        # Of a template only the log knows what it said: it is taken to say so still.
        return wanted, specs.parse(wanted) if template_name(wanted) is None else recorded
    except UserError as error:
        raise CannotTell(f"this release would not accept the file's spec: {error}") from error


def _without_adoption(spec: Mapping[str, object]) -> dict[str, object]:
    return {key: value for key, value in spec.items() if key != "adopt"}


def _adopted(verdict: Verdict, step: str, proof: Recorded) -> dict[str, object]:
    place = verdict.state.place_of(step)
    assert place is not None
    outputs = verdict.state.steps[place].outputs
    named: dict[str, object] = {"name": step, "position": proof.position, "hash": proof.hash}
    return named if outputs is None else named | {"outputs": dict(outputs)}


def _proofs(verdict: Verdict) -> dict[str, Recorded]:
    """For each step that has succeeded in the newest run, the record that says so."""
    said = {record.event.step: record for record in verdict.records if isinstance(record.event, _DONE)}
    state = verdict.state
    ended = {state.name(place) for place, step in enumerate(state.steps) if step.phase is StepPhase.SUCCEEDED}
    return {step: record for step, record in said.items() if step in ended}


def _differs(definition: Definition, recorded: Definition) -> str:
    """What every step may rest on and is not as it was, if something is."""
    if definition.pod_defaults != recorded.pod_defaults:
        return "spec.defaults"
    return "spec.params" if definition.params != recorded.params else ""


def _unchanged(definition: Definition, recorded: Definition) -> list[str]:
    """The steps that are asked for as they were recorded: another release may read the same spec in another way."""
    then = {step.name: step for step in recorded.steps}
    # What a fan-out has written stands in as many records as it has items.
    gathers = {step.name for step in definition.steps if step.for_each and step.outputs}
    return [step.name for step in definition.steps if then.get(step.name) == step and step.name not in gathers]


# -- as text ------------------------------------------------------------------------------------------------


BARE = re.compile(r"[A-Za-z][A-Za-z0-9 _./:@=-]+")  # PyYAML would leave 1e3, 0o7 and y bare, which others misread


class _Dumper(yaml.SafeDumper):
    """YAML in which text is text to every reader, and a script can be read."""


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    if "\n" in text:
        return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|")
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=None if BARE.fullmatch(text) else '"')


_Dumper.add_representer(str, _represent_text)


def as_yaml(manifest: Mapping[str, Any]) -> str:
    """The manifest as one would write it, for `kubectl create -f -`."""
    return yaml.dump(manifest, Dumper=_Dumper, sort_keys=False, width=118, allow_unicode=True)

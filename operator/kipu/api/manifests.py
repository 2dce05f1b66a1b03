"""A whole manifest of one of our resources, judged as the operator judges it.

Promises: total on every JSON value; the spec is judged by the operator's own parsers, so that `kipu lint` and the
operator say the same in the same words. What only a cluster knows (who has a name, who has which right) is not judged.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from kipu.core.errors import Problem, UserError
from kipu.core.texts import nearest

from . import cron, reuse
from .passthrough import TEXT_LENGTH_MAX, JsonMap, join, printable
from .pods import mapping
from .v1alpha1_base import API_VERSION, GROUP, KIND, NAME_LENGTH_MAX
from .v1alpha1_cron import CRON_KIND, CRON_NAME_LENGTH_MAX
from .v1alpha1_template import TEMPLATE_KIND

TOP = ("apiVersion", "kind", "metadata", "spec", "status")
NAME_LENGTHS = {KIND: NAME_LENGTH_MAX, CRON_KIND: CRON_NAME_LENGTH_MAX, TEMPLATE_KIND: NAME_LENGTH_MAX}
SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What is wrong with one manifest of ours."""

    kind: str
    name: str  # "" if it has none
    problems: tuple[Problem, ...]


def check(manifest: JsonMap, templates: Mapping[str, JsonMap] = MappingProxyType({})) -> Verdict | None:
    """None for a manifest that is not of our API group. `templates`: specs of WorkflowTemplates that are at hand."""
    api_version, kind = manifest.get("apiVersion"), manifest.get("kind")
    if not isinstance(api_version, str) or api_version.partition("/")[0] != GROUP:
        return None
    name = mapping(manifest, "metadata").get("name")
    problems: tuple[Problem, ...]
    if api_version != API_VERSION:
        reason = f"'{printable(api_version)}' is not known"
        problems = (Problem(path="apiVersion", reason=reason, hint=f"write {API_VERSION}"),)
    elif not isinstance(kind, str) or kind not in NAME_LENGTHS:
        shown = f"'{printable(kind)}'" if isinstance(kind, str) else "this"
        hint = nearest(kind[:TEXT_LENGTH_MAX] if isinstance(kind, str) else "", NAME_LENGTHS)
        problems = (Problem(path="kind", reason=f"{shown} is not a kind of {API_VERSION}", hint=hint),)
    else:
        problems = (*_around(manifest, kind), *_within(manifest, kind, templates))
    return Verdict(
        kind=kind if isinstance(kind, str) else "", name=name if isinstance(name, str) else "", problems=problems
    )


def _around(manifest: JsonMap, kind: str) -> Iterator[Problem]:
    """All but the spec."""
    for key in manifest:
        if key not in TOP:
            path = join("", key).removeprefix(".")
            yield Problem(path=path, reason="is not a field of this object", hint=nearest(key[:TEXT_LENGTH_MAX], TOP))
    metadata = manifest.get("metadata")
    if not isinstance(metadata, dict):
        yield Problem(path="metadata", reason="is required" if metadata is None else "must be an object")
        return
    name, most = metadata.get("name"), NAME_LENGTHS[kind]
    if name is None and isinstance(metadata.get("generateName"), str):
        return
    if not isinstance(name, str):
        yield Problem(path="metadata.name", reason="is required" if name is None else "must be a string")
    elif len(name) > most and kind != CRON_KIND:  # whose parser says so itself
        yield Problem(path="metadata.name", reason=f"must have at most {most} characters")
    elif not SUBDOMAIN.fullmatch(name):
        hint = "use lower-case letters, digits, '-' and '.'"
        yield Problem(path="metadata.name", reason=f"'{printable(name)}' is not a name", hint=hint)


def _within(manifest: JsonMap, kind: str, templates: Mapping[str, JsonMap]) -> tuple[Problem, ...]:
    """The spec."""
    if "spec" not in manifest:
        return (Problem(path="spec", reason="is required"),)
    name = mapping(manifest, "metadata").get("name")
    try:
        if kind == CRON_KIND:
            cron.parse(name if isinstance(name, str) else "", manifest["spec"])
        elif kind == TEMPLATE_KIND:
            reuse.check_template(manifest["spec"])
        else:
            _workflow(manifest["spec"], templates)
    except UserError as error:
        return error.problems
    return ()


def _workflow(spec: object, templates: Mapping[str, JsonMap]) -> None:
    """With its template, if that is at hand."""
    template = templates.get(reuse.template_name(spec) or "")
    if template is None:
        reuse.check(spec)
    else:
        reuse.resolve(spec, template)

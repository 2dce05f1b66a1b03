"""What `kipu submit` creates: the Workflows of files, or one of a template, judged before anything is sent.

Promises: judged by the operator's own parsers, together with the WorkflowTemplates as they stand in the cluster; names,
namespace and params from the command line are put in as a person would write them. Must never write.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any

from kipu.api.manifests import SUBDOMAIN
from kipu.api.passthrough import JsonMap, printable
from kipu.api.reuse import resolve, template_name
from kipu.api.v1alpha1_base import API_VERSION, GROUP, KIND
from kipu.core.texts import nearest

from . import lint as linting
from . import manifests, params
from .cluster import WORKFLOWS, Cluster, names_in, refused
from .details import some
from .errors import CannotTell, Refused
from .manifests import Document

Manifest = Mapping[str, Any]
SHOWN_LENGTH_MAX = 60  # of a name that was not found


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What the command line says of each Workflow. `params` by name, as texts."""

    name: str | None = None
    generate_name: str | None = None
    namespace: str | None = None  # else the manifest's own, else the context's
    params: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """What to create; what is wrong with it, one line each; and what is in the files and is no Workflow."""

    manifests: tuple[Manifest, ...]
    findings: tuple[str, ...] = ()
    others: tuple[str, ...] = ()


class Templates:
    """The WorkflowTemplates of a cluster, each read once; or those in the files alone."""

    def __init__(self, cluster: Cluster | None, beside: Mapping[str, JsonMap]) -> None:
        self._cluster = cluster
        self._beside = beside
        self._read: dict[tuple[str, str], JsonMap | None] = {}

    async def find(self, namespace: str, name: str) -> JsonMap | None:
        """Its spec; None if there is none. Raises CannotTell."""
        if self._cluster is None:
            return self._beside.get(name)
        if not SUBDOMAIN.fullmatch(name):
            return None  # it would be another path; the name is judged with the spec
        if (namespace, name) not in self._read:
            answer = await self._cluster.get(f"{WORKFLOWS}/namespaces/{namespace}/workflowtemplates/{name}")
            if answer.status not in (HTTPStatus.OK, HTTPStatus.NOT_FOUND):
                raise refused(answer, f"read WorkflowTemplate '{name}' in namespace '{namespace}'")
            body: Any = answer.body
            self._read[namespace, name] = (body.get("spec") or {}) if answer.status == HTTPStatus.OK else None
        return self._read[namespace, name]

    async def hint(self, namespace: str, name: str) -> str:
        """What to do about one that is not there."""
        if self._cluster is None:
            return ""
        if name in self._beside:
            return "it is in these files: apply it first (kubectl apply -f)"
        known = await names_in(self._cluster, namespace, "workflowtemplates")
        return nearest(name[:SHOWN_LENGTH_MAX], known or ()) or "create it first"


async def of_files(files: Sequence[tuple[str, bytes]], asked: Asked, cluster: Cluster | None) -> Submission:
    """The Workflows in these files; without a cluster, judged as `kipu lint` does. Raises UserError, CannotTell."""
    report, found = linting.gather(files)
    beside = manifests.templates(document.value for _, document in found)
    templates = Templates(cluster, beside)
    drafts: list[Manifest] = []
    others: list[str] = []
    for file, document in found:
        if not _is_workflow(document.value):
            report.judge(file, document, beside)
            others += _title(document.value)
            continue
        draft = await _draft(document, asked, templates, cluster)
        assert isinstance(draft.value, Mapping)
        drafts.append(draft.value)
        await _judge(report, file, draft, templates)
    if not drafts and not report.findings:
        raise CannotTell("no Workflow in these files")
    if len(drafts) > 1 and asked.name is not None:
        raise CannotTell(f"--name is for one Workflow, and there are {len(drafts)}: give --generate-name")
    return Submission(manifests=tuple(drafts), findings=tuple(map(str, report.findings)), others=tuple(others))


async def of_template(name: str, asked: Asked, cluster: Cluster) -> Submission:
    """A Workflow of a template of the cluster. Raises UserError with all problems, Refused, CannotTell."""
    templates, namespace = Templates(cluster, {}), asked.namespace or cluster.namespace
    template = await templates.find(namespace, name)
    if template is None:
        hint = await templates.hint(namespace, name)
        raise Refused(f"there is no WorkflowTemplate '{name}' in namespace '{namespace}'; {hint}")
    spec = params.put({"templateRef": {"name": name}}, template, asked.params)
    resolve(spec, template)
    named = asked if asked.name or asked.generate_name else replace(asked, generate_name=f"{name}-")
    metadata = {"namespace": namespace} | _named({}, named)
    return Submission(manifests=({"apiVersion": API_VERSION, "kind": KIND, "metadata": metadata, "spec": spec},))


def _is_workflow(value: object) -> bool:
    """As somebody meant it: whether version and kind are right is judged."""
    if not isinstance(value, dict):
        return False
    group = str(value.get("apiVersion")).partition("/")[0]
    return group == GROUP and value.get("kind") == KIND


def _title(value: object) -> list[str]:
    if not isinstance(value, dict):
        return []
    metadata = value.get("metadata")
    name = metadata.get("name") if isinstance(metadata, dict) else None
    return [f"{value.get('kind')} '{name}'"]


async def _draft(document: Document, asked: Asked, templates: Templates, cluster: Cluster | None) -> Document:
    """The Workflow with what the command line says of it."""
    value = document.value
    assert isinstance(value, dict)
    metadata = value.get("metadata", {})
    if not isinstance(metadata, dict):
        return document
    written = metadata.get("namespace")
    if asked.namespace and written and written != asked.namespace:
        raise CannotTell(f"the manifest says namespace '{written}', and -n says '{asked.namespace}'")
    if written is not None and not (isinstance(written, str) and SUBDOMAIN.fullmatch(written)):
        raise CannotTell(f"metadata.namespace: '{printable(str(written)[:SHOWN_LENGTH_MAX])}' is not a name")
    namespace = asked.namespace or written or ("" if cluster is None else cluster.namespace)
    named = _named(metadata, asked) | ({"namespace": namespace} if namespace else {})
    spec = value.get("spec")
    if asked.params and isinstance(spec, dict):
        name = template_name(spec)
        spec = params.put(spec, None if name is None else await templates.find(namespace, name) or {}, asked.params)
    return replace(document, value={**value, "metadata": named} | ({} if spec is None else {"spec": spec}))


def _named(metadata: Mapping[str, Any], asked: Asked) -> dict[str, Any]:
    if asked.name is not None:
        return {key: each for key, each in metadata.items() if key != "generateName"} | {"name": asked.name}
    if asked.generate_name is not None:
        return {key: each for key, each in metadata.items() if key != "name"} | {"generateName": asked.generate_name}
    return dict(metadata)


async def _judge(report: linting.Report, file: str, document: Document, templates: Templates) -> None:
    value: Any = document.value
    name = template_name(value.get("spec"))
    metadata = value.get("metadata")
    namespace = metadata.get("namespace", "") if isinstance(metadata, dict) else ""
    template = None if name is None else await templates.find(namespace, name)
    report.judge(file, document, {} if name is None or template is None else {name: template})
    if name is not None and template is None and (hint := await templates.hint(namespace, name)):
        report.findings.append(
            linting.Finding(
                file=file,
                line=document.line("spec.templateRef.name"),
                kind=KIND,
                name=str(metadata.get("name", "")) if isinstance(metadata, dict) else "",
                path="spec.templateRef.name",
                reason=f"there is no template '{name}' here",
                hint=hint,
            )
        )


def of_others(others: Sequence[str]) -> str:
    """What is to be said of what is not created."""
    return f"not submitted, since only Workflows are: {some(others)} (kubectl apply -f)"

"""What a step runs where there is no cluster: its Job's container `main` as a program of this machine.

Promises: pure; the same manifest that a cluster would get, so that environment and arguments are the same;
`$(NAME)` means what it means to the kubelet. What only a cluster can give is refused before anything runs, with its
place; what only says where and with which rights a pod may run (image, resources, security) is left aside.
Must never run anything.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from kipu.core.definition import Definition, Kind
from kipu.core.errors import Problem
from kipu.core.graph import paths

from .passthrough import JsonMap
from .pods import MAIN, main_container, mapping, pod_template

GRACE_SECONDS = 30  # core/v1: terminationGracePeriodSeconds, if the template does not say otherwise
NEEDS_A_CLUSTER = ("volumeMounts", "volumeDevices", "envFrom")
_REFERENCE = re.compile(r"\$\$|\$\(([^)]*)\)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """What is started. `folder` None: wherever steps run by default."""

    arguments: tuple[str, ...]
    environment: Mapping[str, str]
    folder: str | None
    grace_seconds: int


def program(job: JsonMap) -> Program:
    """The program of a Job that `problems` finds nothing wrong with."""
    spec = mapping(mapping(mapping(job, "spec"), "template"), "spec")
    main = main_container(mapping(mapping(job, "spec"), "template"))
    environment: dict[str, str] = {}
    for variable in _objects(main.get("env")):
        environment[str(variable["name"])] = _expand(str(variable.get("value") or ""), environment)
    folder, grace = main.get("workingDir"), spec.get("terminationGracePeriodSeconds")
    return Program(
        arguments=tuple(_expand(text, environment) for text in (*_texts(main, "command"), *_texts(main, "args"))),
        environment=environment,
        folder=folder if isinstance(folder, str) else None,
        grace_seconds=grace if isinstance(grace, int) else GRACE_SECONDS,
    )


def problems(definition: Definition) -> Iterator[Problem]:
    """What of these steps cannot be had without a cluster."""
    for path, step in zip(paths(definition.steps), definition.steps, strict=True):
        if step.kind is Kind.WORKFLOW:
            reason = f"step '{step.name}' is a Workflow of its own, which takes a cluster to create"
            yield Problem(path=f"{path}.workflow", reason=reason, hint="run this workflow on a cluster")
        if step.kind is not Kind.RUN:
            continue
        template = pod_template(definition.pod_defaults, step.pod)
        for reason, hint in _reasons(template):
            yield Problem(path=path, reason=f"step '{step.name}' {reason}", hint=hint)
        if mapping(step.pod, "job"):
            reason = f"step '{step.name}' is a Job of several pods, and here each step is one process"
            yield Problem(path=f"{path}.job", reason=reason, hint="run this workflow on a cluster")


def _reasons(template: JsonMap) -> Iterator[tuple[str, str]]:
    spec, main = mapping(template, "spec"), main_container(template)
    if not _texts(main, "command"):
        yield "runs what its image begins with, and 'kipu run' runs no images", "give it a script or a command"
    for key in NEEDS_A_CLUSTER:
        if main.get(key):
            yield f"has {key}, which only a cluster can give", "run this workflow on a cluster"
    for variable in _objects(main.get("env")):
        if variable.get("valueFrom") is not None:
            reason = f"takes the variable {variable.get('name')} from the cluster (valueFrom)"
            yield reason, "run this workflow on a cluster, or give the variable a value"
    others = [str(each.get("name")) for each in _objects(spec.get("containers")) if each.get("name") != MAIN]
    others += [str(each.get("name")) for each in _objects(spec.get("initContainers"))]
    if others:
        yield f"has more containers than '{MAIN}' ({', '.join(others)})", "run this workflow on a cluster"


def _expand(text: str, environment: Mapping[str, str]) -> str:
    """As the kubelet does: `$(NAME)` is a variable, or stays as it is; `$$` is a dollar."""

    def value(match: re.Match[str]) -> str:
        return "$" if match[1] is None else environment.get(match[1], match[0])

    return _REFERENCE.sub(value, text)


def _texts(container: JsonMap, key: str) -> list[str]:
    found = container.get(key)
    return [str(text) for text in found] if isinstance(found, list) else []


def _objects(value: object) -> list[JsonMap]:
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []

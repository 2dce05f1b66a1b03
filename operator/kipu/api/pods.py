"""What a step runs, as a pod template: the layers of the spec merged by the rule of `v1alpha1.PodTemplate`.

    spec.defaults.template < spec.defaults.image < the step's template < the step's own fields

Promises: total on every accepted definition. Adds nothing of its own but the shell that runs a script: labels
and environment are the business of `jobs`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from .passthrough import JsonMap, merge

MAIN = "main"
SHELL = ("/bin/sh", "-e", "-c")
_EXPANDED = re.compile(r"\$(?=[$(])")


def pod_template(pod_defaults: JsonMap, pod: JsonMap) -> dict[str, object]:
    """The merged PodTemplateSpec, with the container `main` in it."""
    layers = [
        mapping(pod_defaults, "template"),
        _for_main({"image": pod_defaults["image"]} if "image" in pod_defaults else {}),
        mapping(pod, "template"),
        _for_main(own_fields(pod)),
    ]
    template: dict[str, object] = {}
    for layer in layers:
        template = merge(template, layer)
    return template


def own_fields(pod: JsonMap) -> dict[str, object]:
    """The step's own Container fields; a script is a command."""
    container = dict(mapping(pod, "container"))
    script = pod.get("script")
    if isinstance(script, str):
        container |= {"command": [*SHELL, literal(script)], "args": None}
    return container


def literal(text: str) -> str:
    """What the kubelet makes `text` of: in a command it reads `$(NAME)` as a variable and `$$` as one `$`."""
    return _EXPANDED.sub("$$", text)


def main_container(template: JsonMap) -> JsonMap:
    """The container `main` of a template; empty if there is none."""
    found = listed(mapping(template, "spec"), "containers")
    return next((item for item in found if isinstance(item, Mapping) and item.get("name") == MAIN), {})


def with_main(template: JsonMap, changed: JsonMap) -> dict[str, object]:
    """The same template with this container as its `main`."""
    spec, main = mapping(template, "spec"), main_container(template)
    containers = [changed if container is main else container for container in listed(spec, "containers")]
    return {**template, "spec": {**spec, "containers": containers}}


def has_one_pod(job: JsonMap) -> bool:
    """Whether a step with this `job`, if it has one, runs in a single pod."""
    return all(job.get(key) in (None, 1) for key in ("completions", "parallelism"))


def mapping(raw: JsonMap, key: str) -> JsonMap:
    """The object under this key; empty if there is none."""
    value = raw.get(key)
    return value if isinstance(value, Mapping) else {}


def template_labels(owner: JsonMap) -> JsonMap:
    """The labels in the pod template of a step, of the defaults or of a Job's spec."""
    return mapping(mapping(mapping(owner, "template"), "metadata"), "labels")


def listed(raw: JsonMap, key: str) -> list[Any]:
    """The list under this key; empty if there is none."""
    value = raw.get(key)
    return value if isinstance(value, list) else []


def _for_main(container: JsonMap) -> dict[str, object]:
    return {"spec": {"containers": [{"name": MAIN, **container}]}}

"""What must hold within a step beyond the shape of its fields: it says once what it runs, and in which image.

Promises: every rule yields its own Problem and none hides another. Works on steps whose shape is sound; on a
pod template, which is passed through, it assumes nothing. Must never look at other steps: that is the graph's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set

from kipu.core.errors import Problem

from .jobs import KUEUE_LABEL, MANAGED_BY_LABEL
from .passthrough import JsonMap
from .pods import MAIN, has_one_pod, listed, main_container, mapping, pod_template, template_labels
from .scopes import templates
from .workspace import VOLUME

RUNS = ("command", "args")
JOBLESS_FIELDS = frozenset({"name", "dependsOn", "runWhen", "when", "allowFailure"})
NESTED_FIELDS = JOBLESS_FIELDS | {"retry", "timeout", "forEach"}
OWN_PREFIX = "KIPU_"
OWN_LABELS = "kipu.dev/"


def step_problems(step: JsonMap, pod: JsonMap, defaults: JsonMap | None, path: str) -> Iterator[Problem]:
    """Everything wrong within one step. `defaults` None: they are wrong themselves, conclude nothing from them."""
    if step.get("approval") is not None or step.get("wait") is not None:
        yield from _jobless_problems(step, path)
        return
    if step.get("workflow") is not None:
        yield from _nested_problems(step, path)
        return
    yield from _twice_said(step, path)
    yield from _external_problems(step, defaults, path)
    yield from _outputs_of_many(step, path)
    yield from _environment_problems(step, path)
    yield from template_problems(step, path)
    if defaults is None:
        return
    if not _says_what_runs(step, defaults):
        yield Problem(
            path=path,
            reason="does not say what to run",
            hint="give it a script, a command, an image, or a template with a container named 'main'",
        )
    elif step.get("image") is None and not main_container(pod_template(defaults, pod)).get("image"):
        yield Problem(path=path, reason="there is no image to run", hint=f"set {path}.image or spec.defaults.image")


def _external_problems(step: JsonMap, defaults: JsonMap | None, path: str) -> Iterator[Problem]:
    """Both Kipu, for External, and Kueue own `suspend` of the Job."""
    external = step.get("effects") == "External"
    if step.get("onUnknown") is not None and not external:
        hint = "set effects: External, or leave it out"
        yield Problem(path=f"{path}.onUnknown", reason="says something of External effects only", hint=hint)
    if external and step.get("forEach") is not None and step.get("onUnknown") in (None, "Ask"):
        reason = "nobody can be asked about single items: set onUnknown to Fail or Retry"
        yield Problem(path=f"{path}.onUnknown", reason=reason)
    if external and step.get("startTimeout") is not None:
        reason = "has no meaning beside effects: External, whose start is the record of its Job"
        yield Problem(path=f"{path}.startTimeout", reason=reason, hint="set attemptTimeout, which counts from then")
    if external and KUEUE_LABEL in template_labels(step):
        where = f"{path}.template.metadata.labels[{KUEUE_LABEL}]"
        yield Problem(path=where, reason="a queue and effects: External both decide when the Job may run")
    elif external and KUEUE_LABEL in template_labels(defaults or {}):
        reason = "External and a queue, that of defaults.template, both decide when the Job may run"
        hint = f"put the label {KUEUE_LABEL} into the templates of the other steps"
        yield Problem(path=f"{path}.effects", reason=reason, hint=hint)


def _jobless_problems(step: JsonMap, path: str) -> Iterator[Problem]:
    """A step that asks or waits runs nothing, and so says nothing of it."""
    kind = "approval" if step.get("approval") is not None else "wait"
    yield from _meaningless(step, path, JOBLESS_FIELDS, beside=kind, why="it has no Job")


def _nested_problems(step: JsonMap, path: str) -> Iterator[Problem]:
    """A step that is a Workflow of its own: what runs, and how, is its template's."""
    yield from _meaningless(step, path, NESTED_FIELDS, beside="workflow", why="the template says what runs")
    if mapping(step, "retry").get("nonRetryableExitCodes") is not None:
        reason = "has no meaning beside workflow: it has no exit code"
        yield Problem(path=f"{path}.retry.nonRetryableExitCodes", reason=reason, hint="remove it")


def _meaningless(step: JsonMap, path: str, fields: Set[str], *, beside: str, why: str) -> Iterator[Problem]:
    """All that the step says besides what it is and these fields."""
    for key, value in step.items():
        if value is not None and key not in fields and key != beside:
            yield Problem(path=f"{path}.{key}", reason=f"has no meaning beside {beside}: {why}", hint="remove it")


def template_problems(owner: JsonMap, path: str) -> Iterator[Problem]:
    """Everything wrong with the pod template of a step or of the defaults."""
    template = mapping(owner, "template")
    spec, where = mapping(template, "spec"), f"{path}.template.spec"
    for key in template_labels(owner):
        if key.startswith(OWN_LABELS) or key == MANAGED_BY_LABEL:
            yield Problem(path=f"{path}.template.metadata.labels[{key}]", reason="is a label that Kipu sets")
    if spec.get("restartPolicy") not in (None, "Never"):
        hint = "an attempt that failed is tried again by the step's retry"
        yield Problem(path=f"{where}.restartPolicy", reason="must be Never", hint=hint)
    for place, volume in enumerate(listed(spec, "volumes")):
        if isinstance(volume, Mapping) and volume.get("name") == VOLUME:
            yield Problem(path=f"{where}.volumes[{place}].name", reason="is the name of Kipu's own volume")
    containers = spec.get("containers")
    if containers is None:
        return
    if not isinstance(containers, list):
        yield Problem(path=f"{where}.containers", reason="must be a list")
        return
    names = [item.get("name") if isinstance(item, Mapping) else None for item in containers]
    for place, name in enumerate(names):
        if not isinstance(name, str) or not name:
            yield Problem(path=f"{where}.containers[{place}].name", reason="is required")
        elif name in names[:place]:
            yield Problem(path=f"{where}.containers[{place}].name", reason=f"'{name}' is already a container's name")
        elif name == MAIN:
            yield from _environment_problems(containers[place], f"{where}.containers[{place}]")
            yield from _expression_problems(containers[place], f"{where}.containers[{place}]")


def _environment_problems(container: JsonMap, path: str) -> Iterator[Problem]:
    for place, variable in enumerate(listed(container, "env")):
        name = variable.get("name") if isinstance(variable, Mapping) else None
        if isinstance(name, str) and name.startswith(OWN_PREFIX):
            where = f"{path}.env[{place}].name"
            yield Problem(path=where, reason=f"names that begin with {OWN_PREFIX} are Kipu's own")


def _expression_problems(container: JsonMap, path: str) -> Iterator[Problem]:
    """A template is passed through: what looks like an expression in it would reach the program as it stands."""
    for where, _ in templates({"container": container}):
        hint = "set it among the step's own fields, which are laid over the template"
        yield Problem(
            path=f"{path}.{where}", reason="expressions stand in a step's own env, args and command", hint=hint
        )


def _outputs_of_many(step: JsonMap, path: str) -> Iterator[Problem]:
    if step.get("outputs") is not None and not has_one_pod(mapping(step, "job")):
        reason = "a step of several pods has no outputs: which pod's would they be"
        yield Problem(path=f"{path}.outputs", reason=reason, hint="let the pods write to a volume")


def _twice_said(step: JsonMap, path: str) -> Iterator[Problem]:
    """What runs is said in one place: which one wins would be a riddle."""
    said = [key for key in RUNS if step.get(key) is not None]
    in_template = [key for key in RUNS if main_container(mapping(step, "template")).get(key) is not None]
    hint = "say in one place what to run"
    if step.get("script") is not None:
        for key in said:
            yield Problem(path=f"{path}.{key}", reason="cannot stand beside script", hint=hint)
    if in_template and (said or step.get("script") is not None):
        fields = " and ".join(in_template)
        reason = f"the template's container '{MAIN}' sets {fields} beside the step's own"
        yield Problem(path=f"{path}.template", reason=reason, hint=hint)


def _says_what_runs(step: JsonMap, defaults: JsonMap) -> bool:
    if any(step.get(key) is not None for key in ("script", "image", *RUNS)):
        return True
    own, shared = main_container(mapping(step, "template")), main_container(mapping(defaults, "template"))
    return any(own.get(key) for key in ("image", *RUNS)) or any(shared.get(key) for key in RUNS)

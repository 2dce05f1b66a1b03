"""What a step's pod is, as a person writes it: core/v1's Container fields in short, and the pod template whole.

Promises: those of `v1alpha1`, whose part it is: every docstring is what `kubectl explain` says.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from .v1alpha1_base import (
    ARGUMENTS_MAX,
    ENV_MAX,
    MOUNTS_MAX,
    Annotation,
    Argument,
    Image,
    LabelValue,
    Model,
    PassedThrough,
)


class EnvVar(Model):
    """One environment variable of the step's program, as in core/v1."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=253)]
    """The variable's name. Names that begin with KIPU_ are Kipu's own."""
    value: Argument | None = None
    """The variable's value. Always a string: quote numbers and booleans. ${{ EXPRESSION }} in it becomes the
    expression's value as text, once, before the first attempt."""
    value_from: PassedThrough | None = None
    """Where the value comes from instead (fieldRef, configMapKeyRef, secretKeyRef), as in core/v1 EnvVarSource."""


class Container(Model):
    """The short way to say what a step runs: core/v1 Container fields, put on the container named `main`."""

    image: Image | None = None
    """The image that the step runs. Absent: that of the template, then that of spec.defaults."""
    command: Annotated[list[Argument], Field(min_length=1, max_length=ARGUMENTS_MAX)] | None = None
    """The program and its first arguments, in place of the image's entrypoint. No shell reads it; $(NAME) is the
    value of an environment variable, as in core/v1; ${{ EXPRESSION }} the value of an expression."""
    args: Annotated[list[Argument], Field(min_length=1, max_length=ARGUMENTS_MAX)] | None = None
    """Arguments for the command, or for the image's entrypoint if there is no command; ${{ EXPRESSION }} as there."""
    env: Annotated[list[EnvVar], Field(max_length=ENV_MAX)] | None = None
    """Environment variables; one of the same name in a template is replaced."""
    env_from: Annotated[list[PassedThrough], Field(max_length=ENV_MAX)] | None = None
    """ConfigMaps and Secrets whose keys become environment variables, as in core/v1 EnvFromSource."""
    resources: PassedThrough | None = None
    """Requests and limits, as in core/v1 ResourceRequirements."""
    volume_mounts: Annotated[list[PassedThrough], Field(max_length=MOUNTS_MAX)] | None = None
    """Where volumes of the template are mounted; one at the same mountPath in a template is replaced."""
    working_dir: Annotated[str, StringConstraints(max_length=4_096)] | None = None
    """The program's working directory."""
    image_pull_policy: Literal["Always", "IfNotPresent", "Never"] | None = None
    """When the image is pulled."""
    security_context: PassedThrough | None = None
    """The container's privileges, as in core/v1 SecurityContext."""


class TemplateMetadata(Model):
    """Labels and annotations of the step's pods. The Job and its pods are named by Kipu."""

    labels: Annotated[dict[str, LabelValue], Field(max_length=100)] | None = None
    """Labels of the pods. Those of kipu.dev are Kipu's own."""
    annotations: Annotated[dict[str, Annotation], Field(max_length=100)] | None = None
    """Annotations of the pods."""


class PodTemplate(Model):
    """A core/v1 PodTemplateSpec. Merged in the order: spec.defaults.template, spec.defaults.image, the step's
    template, the step's own fields. Objects are merged key by key; containers and initContainers are merged by
    name; of env, volumes and imagePullSecrets an entry replaces that of the same name, of volumeMounts that of
    the same mountPath; any other list is replaced as a whole; null removes. restartPolicy is Never."""

    metadata: TemplateMetadata | None = None
    """Labels and annotations of the pods."""
    spec: PassedThrough | None = None
    """A core/v1 PodSpec. The container that decides the step's outcome is named `main`."""

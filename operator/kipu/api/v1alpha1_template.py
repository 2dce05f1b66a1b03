"""The WorkflowTemplate resource, kipu.dev/v1alpha1: the spec of a Workflow, whose params have types.

Promises: those of `v1alpha1`, whose spec it extends; nobody watches it and it has no status: it is read when a Workflow
that names it is accepted. Every docstring is what `kubectl explain` says. Names are for ever.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

from pydantic import Field, StringConstraints

from .v1alpha1 import WorkflowSpec
from .v1alpha1_base import Loose, Model
from .v1alpha1_language import PARAMS_MAX, Member

TEMPLATE_KIND, TEMPLATE_PLURAL = "WorkflowTemplate", "workflowtemplates"
ENUM_MAX = 100
DESCRIPTION_LENGTH_MAX = 1_024


class ParamType(StrEnum):
    """What a param holds."""

    STRING = "String"
    INT = "Int"
    BOOL = "Bool"
    LIST = "List"
    OBJECT = "Object"


class TypedParam(Model):
    """A param that a Workflow gives a value to, or that has one by default."""

    name: Member
    """The param's name: letters, digits and '_', since in an expression '-' is a minus."""
    type: Annotated[ParamType, Loose] | None = None
    """String (default), Int, Bool, List or Object. A value of another type is refused, never converted."""
    default: Any = None
    """Its value in a Workflow that gives none. Absent: every Workflow must give one."""
    enum: Annotated[list[Any], Field(min_length=1, max_length=ENUM_MAX)] | None = None
    """The only values that it may have."""
    description: Annotated[str, StringConstraints(max_length=DESCRIPTION_LENGTH_MAX)] | None = None
    """What it is for."""


class WorkflowTemplateSpec(WorkflowSpec):
    """The spec of the Workflows that name this template (spec.templateRef). It is read once, when such a Workflow is
    accepted, and recorded whole in its log: a later edit changes nothing that has begun."""

    params: Annotated[list[TypedParam], Field(max_length=PARAMS_MAX)] | None = None  # type: ignore[assignment]
    """What a Workflow may or must say in its own spec.params; expressions read them as params.NAME."""

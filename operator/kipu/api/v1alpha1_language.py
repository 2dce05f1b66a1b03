"""What the resource says in the language: params, outputs, conditions.

Promises: those of `v1alpha1`, whose part it is: every docstring is what `kubectl explain` says.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, StringConstraints

from kipu.core.definition import ValueType

from .v1alpha1_base import Loose, Model

PARAMS_MAX = 100
OUTPUTS_MAX = 32
# Names that CEL can select: params.shardCount, steps['fetch'].outputs.row_count.
MEMBER_PATTERN = r"^[A-Za-z_][A-Za-z0-9_]*$"
MEMBER_LENGTH_MAX = 63
EXPRESSION_LENGTH_MAX = 1_024

Member = Annotated[str, StringConstraints(pattern=MEMBER_PATTERN, max_length=MEMBER_LENGTH_MAX)]
Expression = Annotated[str, StringConstraints(min_length=1, max_length=EXPRESSION_LENGTH_MAX)]


class Param(Model):
    """A value that expressions read as params.NAME."""

    name: Member
    """The param's name: letters, digits and '_', since in an expression '-' is a minus."""
    value: Any
    """Its value, of any JSON type but null, which is also its type in expressions. Put fractions in quotes, and convert
    them by double(params.NAME)."""


class Output(Model):
    """A value that the step's program writes to the file $KIPU_OUTPUT, as a line name=value or as a JSON object."""

    name: Member
    """The output's name: letters, digits and '_', since in an expression '-' is a minus."""
    type: Annotated[ValueType, Loose] | None = None
    """String (default), Int, Bool, Double or Json. What is written and is not of this type is a failed attempt."""


Params = Annotated[list[Param], Field(max_length=PARAMS_MAX)]
Outputs = Annotated[list[Output], Field(min_length=1, max_length=OUTPUTS_MAX)]

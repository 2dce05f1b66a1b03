"""What all resources of kipu.dev/v1alpha1 are written with: names, scalar types with their bounds, the closed model.

Promises: closed, bounded and strict: an unknown field, a wrong type or a value out of bounds is an error, never a
guess. Must never know a resource.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

from .durations import DURATION_MAX_MS, to_ms

GROUP, VERSION, KIND, PLURAL = "kipu.dev", "v1alpha1", "Workflow", "workflows"
API_VERSION = f"{GROUP}/{VERSION}"

NAME_LENGTH_MAX = 63  # a DNS-1123 label: step and workflow names are label values
NAME_PATTERN = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
DURATION_PATTERN = r"^([0-9]{1,5}(h|m|s|ms)){1,4}$"  # GEP-2257
DURATION_LENGTH_MAX = 28  # 4 x (5 digits + "ms")
# Linux takes at most 131,071 bytes as one argument of a program: 32,000 characters x 4 bytes of UTF-8.
ARGUMENT_LENGTH_MAX = 32_000
ARGUMENTS_MAX = 256
ENV_MAX = 256
MOUNTS_MAX = 256
PARALLELISM_MAX = 10_000
RUN_MAX = 1_000_000
PRIORITY_MAX = 1_000_000
POSITION_MAX = 1_000_000_000  # far above what any log holds
UID_PATTERN = r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"
UID_LENGTH_MAX = 36
HASH_PATTERN = r"^[0-9a-f]{64}$"
HASH_LENGTH_MAX = 64
EXPRESSION = "${{"


def _check_duration(text: str) -> str:
    milliseconds = to_ms(text)
    if milliseconds == 0:
        raise PydanticCustomError("kipu", "must be longer than zero")
    if milliseconds > DURATION_MAX_MS:
        raise PydanticCustomError("kipu", "must be at most 365 days (8760h)")
    return text


def check_script(text: str) -> str:
    """A script as it stands: no expression in it."""
    if EXPRESSION in text:
        raise PydanticCustomError(
            "kipu",
            "expressions are not put into scripts: a value could then run as a command",
            {"hint": 'pass the value through env and write "$NAME"'},
        )
    return text


def _check_image(text: str) -> str:
    # Refused now, so that they may mean something later without changing what runs today.
    if EXPRESSION in text:
        raise PydanticCustomError("kipu", "expressions stand in env, args and command alone", {"hint": "write it out"})
    return text


Name = Annotated[str, StringConstraints(pattern=NAME_PATTERN, max_length=NAME_LENGTH_MAX)]
Duration = Annotated[
    str,
    StringConstraints(pattern=DURATION_PATTERN, max_length=DURATION_LENGTH_MAX),
    AfterValidator(_check_duration),
]
Argument = Annotated[str, StringConstraints(max_length=ARGUMENT_LENGTH_MAX)]
Image = Annotated[str, StringConstraints(min_length=1, max_length=1_024), AfterValidator(_check_image)]
LabelValue = Annotated[str, StringConstraints(max_length=NAME_LENGTH_MAX)]
Annotation = Annotated[str, StringConstraints(max_length=ARGUMENT_LENGTH_MAX)]
PassedThrough = dict[str, Any]  # checked by the API server when the Job is made
Loose = Field(strict=False)  # an enum is written as a string


class Model(BaseModel):
    """What all parts of the resource have in common."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, alias_generator=to_camel, use_attribute_docstrings=True
    )

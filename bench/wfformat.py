"""A run recorded in WfFormat, as WfCommons publishes them, as an index list.

WfFormat 1.5 (wfcommons/WfFormat, wfcommons-schema.json): `workflow.specification.tasks` says what each task needs,
`workflow.execution.tasks` how long it took. All else there is passed over.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from kipu.core.errors import Problem, UserError

SECONDS_MAX = 10**9  # refuses infinity, which cannot be rounded; the limit that is meant is MS_MAX of `dag`


class _Task(msgspec.Struct):
    id: str
    parents: list[str] = []


class _Specification(msgspec.Struct):
    tasks: list[_Task]


class _Ran(msgspec.Struct):
    id: str
    runtimeInSeconds: Annotated[float, msgspec.Meta(ge=0, le=SECONDS_MAX)] = 0.0  # noqa: N815 - WfFormat's name


class _Execution(msgspec.Struct):
    tasks: list[_Ran] = []


class _Workflow(msgspec.Struct):
    specification: _Specification
    execution: _Execution = msgspec.field(default_factory=_Execution)


class _Recording(msgspec.Struct):
    workflow: _Workflow


def is_one(content: object) -> bool:
    """Whether this is meant to be a recording, and not an index list."""
    return isinstance(content, dict) and "workflow" in content


def index_list(content: object, path: str) -> dict[str, Any]:
    """`{"tasks": [[parents]...], "ms": [...]}`, in the order of the file. Raises UserError."""
    try:
        flow = msgspec.convert(content, _Recording).workflow
    except msgspec.ValidationError as error:
        raise UserError((Problem(path=path, reason=f"is not WfFormat 1.5: {error}"),)) from error
    tasks = flow.specification.tasks
    places = {task.id: place for place, task in enumerate(tasks)}
    if problems := tuple(_problems(tasks, places, f"{path}: workflow.specification.tasks")):
        raise UserError(problems)
    seconds = {ran.id: ran.runtimeInSeconds for ran in flow.execution.tasks}
    return {
        "tasks": [[places[parent] for parent in task.parents] for task in tasks],
        "ms": [round(seconds.get(task.id, 0.0) * 1_000) for task in tasks],
    }


def _problems(tasks: list[_Task], places: dict[str, int], path: str) -> list[Problem]:
    twice = [
        Problem(path=f"{path}[{place}].id", reason=f"{task.id!r} is the id of another task, too")
        for place, task in enumerate(tasks)
        if places[task.id] != place
    ]
    unknown = [
        Problem(path=f"{path}[{place}].parents", reason=f"names {parent!r}, which is no task")
        for place, task in enumerate(tasks)
        for parent in task.parents
        if parent not in places
    ]
    return twice + unknown

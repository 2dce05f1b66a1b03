"""What is run: DAGs as index lists, read from a file or made here, each the same for the same arguments.

Promises: a DAG that is given out has no cycle and names only tasks that it has. A file is
`{"tasks": [[parents]...], "ms": [how long each runs]...}`, as in `../shared/dags`; other keys are passed over. Or it is
a recorded run in WfFormat.
"""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from kipu.core.errors import Problem, UserError

from . import wfformat

TASKS_MAX = 5_000  # steps of a Workflow
MS_MAX = 24 * 3_600_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Dag:
    """Tasks by index: the indices of those that each needs, and for how many milliseconds its pod runs."""

    name: str
    parents: tuple[tuple[int, ...], ...]
    ms: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.parents)

    def children(self) -> list[list[int]]:
        """Those that need each task."""
        found: list[list[int]] = [[] for _ in self.parents]
        for task, needs in enumerate(self.parents):
            for need in needs:
                found[need].append(task)
        return found

    def order(self) -> list[int]:
        """All tasks, none before one that it needs; shorter than the DAG where there is a cycle."""
        left, children = [len(needs) for needs in self.parents], self.children()
        found = [task for task, count in enumerate(left) if count == 0]
        for task in found:
            for child in children[task]:
                left[child] -= 1
                if left[child] == 0:
                    found.append(child)
        return found

    def depth(self) -> int:
        """Tasks on the longest path."""
        depths = [0] * len(self)
        for task in self.order():
            depths[task] = 1 + max((depths[need] for need in self.parents[task]), default=0)
        return max(depths)

    def critical_ms(self) -> int:
        """The time of the longest path, in milliseconds: no engine ends sooner."""
        ends = [0] * len(self)
        for task in self.order():
            ends[task] = self.ms[task] + max((ends[need] for need in self.parents[task]), default=0)
        return max(ends)

    def scaled(self, factor: float) -> Dag:
        """Each task so many times as long, in whole milliseconds."""
        return replace(self, ms=tuple(round(each * factor) for each in self.ms))


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """So many workflows at once, each of this DAG."""

    name: str
    dag: Dag
    copies: int = 1
    is_real: bool = False  # a recorded run of a scientific workflow

    def whole(self) -> Dag:
        """All of them as one DAG: task t of copy c is number `c * len(dag) + t`."""
        size = len(self.dag)
        parents = tuple(
            tuple(copy * size + need for need in needs) for copy in range(self.copies) for needs in self.dag.parents
        )
        return Dag(name=self.name, parents=parents, ms=self.dag.ms * self.copies)


def load(path: Path) -> Dag:
    """The DAG of a file. Raises UserError."""
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise UserError((Problem(path=str(path), reason=f"cannot be read: {error}"),)) from error
    if wfformat.is_one(content):
        content = wfformat.index_list(content, str(path))
    problems = tuple(_problems(content, str(path)))
    if problems:
        raise UserError(problems)
    parents = tuple(tuple(dict.fromkeys(needs)) for needs in content["tasks"])
    dag = Dag(name=path.stem, parents=parents, ms=tuple(content.get("ms", [0] * len(parents))))
    if len(dag.order()) < len(dag):
        stuck = sorted(set(range(len(dag))) - set(dag.order()))
        raise UserError((Problem(path=f"{path}: tasks[{stuck[0]}]", reason="is on a cycle, or behind one"),))
    return dag


def _problems(content: object, path: str) -> list[Problem]:
    tasks = content.get("tasks") if isinstance(content, dict) else None
    if not isinstance(tasks, list) or not 1 <= len(tasks) <= TASKS_MAX:
        hint = '{"tasks": [[], [0]], "ms": [10, 10]} is a chain of two'
        return [Problem(path=f"{path}: tasks", reason=f"must be a list of 1 to {TASKS_MAX:,} lists", hint=hint)]
    found = [
        Problem(path=f"{path}: tasks[{task}]", reason=f"must be a list of indices from 0 to {len(tasks) - 1}")
        for task, needs in enumerate(tasks)
        if not isinstance(needs, list) or not all(type(need) is int and 0 <= need < len(tasks) for need in needs)
    ]
    assert isinstance(content, dict)
    ms = content.get("ms", [0] * len(tasks))
    if not isinstance(ms, list) or len(ms) != len(tasks) or not all(type(e) is int and 0 <= e <= MS_MAX for e in ms):
        reason = f"must be a list of {len(tasks)} whole numbers of milliseconds from 0 to {MS_MAX:,}"
        found.append(Problem(path=f"{path}: ms", reason=reason))
    return found


# -- shapes -----------------------------------------------------------------------------------------------


def shaped(name: str, parents: Sequence[Sequence[int]]) -> Dag:
    """Tasks that do nothing, so that all time is overhead."""
    return Dag(name=name, parents=tuple(map(tuple, parents)), ms=(0,) * len(parents))


def chain(length: int) -> Dag:
    """One after the other."""
    return shaped(f"chain-{length}", [[task - 1] if task else [] for task in range(length)])


def fan_out(width: int) -> Dag:
    """One, then all others at once."""
    return shaped(f"fan-out-{width}", [[], *[[0]] * width])


def lattice(side: int) -> Dag:
    """A square in which each task needs the one above and the one to its left."""
    return shaped(
        f"lattice-{side}x{side}",
        [
            [need for need, is_there in ((task - side, task >= side), (task - 1, task % side > 0)) if is_there]
            for task in range(side * side)
        ],
    )


def layered(tasks: int, seed: int = 1) -> Dag:
    """Layers of 1 to 40 tasks, each of which needs 1 to 3 of the layer before."""
    draw = random.Random(seed)
    parents: list[list[int]] = []
    before: list[int] = []
    while len(parents) < tasks:
        layer = range(len(parents), min(tasks, len(parents) + draw.randint(1, 40)))
        parents += [draw.sample(before, min(len(before), draw.randint(1, 3))) for _ in layer]
        before = list(layer)
    return shaped(f"layered-{tasks}", parents)


def montage(images: int) -> Dag:
    """The shape of a Montage mosaic: project each image, fit each overlap, join, correct each, join thrice."""
    parents: list[list[int]] = [[] for _ in range(images)]
    overlaps = [(left, right) for left in range(images) for right in range(left + 1, min(images, left + 4))]
    parents += [list(pair) for pair in overlaps]
    fits = list(range(images, len(parents)))
    parents += [fits, [len(parents)]]
    model = len(parents) - 1
    parents += [[image, model] for image in range(images)]
    parents.append(list(range(model + 1, model + 1 + images)))
    parents += [[len(parents) - 1], [len(parents)]]
    return shaped(f"montage-{len(parents)}", parents)

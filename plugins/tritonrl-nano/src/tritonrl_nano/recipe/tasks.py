"""The model's own tasks, as tritonrl's `Task`: what it was trained on in kind, and what is held out from that.

No torch here. The reference's constants are the largest sizes for rows, and any sizes for products; what each may be
beside is declared in `vary` and said in the prompt.
"""

from __future__ import annotations

import hashlib
from random import Random
from typing import TYPE_CHECKING

from tritonrl_nano.recipe.chains import Problem, draw_problem, reference_source

if TYPE_CHECKING:
    from tritonrl_core.types import Task


def nano_tasks(split: str = "train", count: int = 256, seed: int = 0) -> list[Task]:
    """`count` different tasks of a split (`train` or `held_out`), half of them level 2. Same seed, same tasks.

    A held-out task of level 2 is a new composition: what it computes was in no example and in no training task. One of
    level 1 is a known operator at new sizes, or in half precision where it was only seen in float32, as many of each.
    """
    if split not in ("train", "held_out"):
        raise ValueError(f"split is 'train' or 'held_out', not {split!r}")
    rng = Random(f"nano/{split}/{seed}")
    tasks: dict[str, Task] = {}
    while len(tasks) < count:
        task = problem_task(draw(rng, split, len(tasks)))
        tasks.setdefault(task.id, task)
    return list(tasks.values())


def draw(rng: Random, split: str, place: int) -> Problem:
    """The problem of the `place`-th task of a split."""
    if split == "train":
        return draw_problem(rng, "train", level=1 + place % 2)
    way = ("composition", "shape", "composition", "dtype")[place % 4]
    return draw_problem(rng, way, level=2 if way == "composition" else 1)


def problem_task(problem: Problem) -> Task:
    """A problem as a task, with its prompt."""
    from tritonrl_core.tasks.prompts import statement
    from tritonrl_core.types import Task

    chain, source = problem.chain, reference_source(problem)
    digest = hashlib.sha256(source.encode()).hexdigest()[:6]
    task = Task(
        id=f"nano_l{chain.level}_{'_'.join(chain.names)}_{digest}",
        level=chain.level,
        source=source,
        family="softmax" if chain.names == ("softmax",) else chain.core or "elementwise",
        split="train" if problem.split == "train" else "held_out",
        vary=dict(problem.vary),
        origin=f"nano:{problem.split}",
    )
    return statement(task, f"Computes {', '.join(chain.names)}, in this order.")

"""The tasks that are shipped beside the weights are what the recipe makes, to the byte."""

from __future__ import annotations

import pytest
from tritonrl_nano.recipe.chains import Chain, Problem, Step
from tritonrl_nano.recipe.operators import CORES, ELEMENTWISE
from tritonrl_nano.recipe.suite import COUNTS, FOLDER, suite_text
from tritonrl_nano.recipe.tasks import problem_task

from tritonrl_core.tasks.graph import graph_key
from tritonrl_core.tasks.loaders import load_tasks
from tritonrl_core.types import Task


@pytest.mark.parametrize("split", COUNTS)
def test_the_shipped_tasks_are_the_recipes(split: str) -> None:
    path = FOLDER / f"{split}.jsonl"
    assert path.read_text(encoding="utf-8") == suite_text(split)
    assert len(load_tasks(path)) == COUNTS[split]


def test_operators_compute_different_things_so_a_new_chain_is_a_new_computation() -> None:
    # Which chains the SFT corpus held is decided by the names of their operators (`chains`), never listed.
    flat = [Chain((), "", (Step(name, "0.5" if op.has_constant else ""),)) for name, op in ELEMENTWISE.items()]
    keys = {graph_key(alone(chain)) for chain in (*flat, *(Chain((), core, ()) for core in CORES))}
    assert len(keys) == len(ELEMENTWISE) + len(CORES)


def alone(chain: Chain) -> Task:
    """A chain as a task, at some size."""
    dims = (("M", 16), ("K", 16), ("N", 16)) if chain.core == "matmul" else (("R", 4), ("C", 64))
    return problem_task(Problem(chain, "float32", dims, (), "train"))


def test_no_training_task_computes_what_a_held_out_one_of_level_two_does() -> None:
    trained = {graph_key(task) for task in load_tasks(FOLDER / "train.jsonl")}
    held_out = {task.id: graph_key(task) for task in load_tasks(FOLDER / "held_out.jsonl") if task.level == 2}
    assert len(held_out) == COUNTS["held_out"] // 2
    assert not [task for task, key in held_out.items() if key in trained]

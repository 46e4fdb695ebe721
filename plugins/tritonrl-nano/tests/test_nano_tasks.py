"""The model's tasks: the same every time, of two levels, and held out in ways that do not overlap."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import pytest
from tritonrl_nano.recipe.chains import HELD_OUT, Chain, Problem, Step, draw_problem, is_meaningful
from tritonrl_nano.recipe.operators import CORES, ELEMENTWISE
from tritonrl_nano.recipe.tasks import nano_tasks

from tritonrl_core.bench.references.constants import integer_constants
from tritonrl_core.bench.references.reference import Reference
from tritonrl_core.tasks.cases import make_cases
from tritonrl_core.types import CaseRequest


def problems(split: str, count: int) -> Iterator[Problem]:
    rng = Random(split)
    for place in range(count):
        yield draw_problem(rng, split, level=2 if split == "composition" else 1 + place % 2)


def test_the_same_seed_gives_the_same_tasks_and_another_one_others() -> None:
    assert nano_tasks("train", 40, seed=3) == nano_tasks("train", 40, seed=3)
    assert nano_tasks("train", 40, seed=3) != nano_tasks("train", 40, seed=4)


def test_a_suite_has_distinct_tasks_half_of_them_of_level_two() -> None:
    for split in ("train", "held_out"):
        tasks = nano_tasks(split, 120)
        assert len({task.id for task in tasks}) == len({task.key for task in tasks}) == 120
        assert sum(task.level == 2 for task in tasks) == 60
        assert {task.split for task in tasks} == {split}


def test_level_one_is_one_operator_and_level_two_three_to_five() -> None:
    for problem in problems("train", 300):
        assert len(problem.chain.names) in ((1,) if problem.chain.level == 1 else (3, 4, 5))


def test_every_operator_occurs_in_training() -> None:
    seen = {name for problem in problems("train", 600) for name in problem.chain.names}
    assert seen == {*ELEMENTWISE, *CORES}


def test_held_out_compositions_are_never_trained_on() -> None:
    trained = {problem.chain.names for problem in problems("train", 2000)}
    held_out = {problem.chain.names for problem in problems("composition", 400)}
    assert not trained & held_out


def test_held_out_shapes_share_no_size_with_training() -> None:
    def sizes(split: str) -> set[tuple[str, int]]:
        found = set()
        for problem in problems(split, 600):
            for (name, own), (_, others) in zip(problem.dims, problem.vary, strict=True):
                found |= {(name if name in "RC" else "side", size) for size in (own, *others)}
        return found

    assert not sizes("train") & sizes("shape")


def test_held_out_dtypes_are_new_for_their_composition() -> None:
    def halves(split: str) -> set[tuple[str, ...]]:
        return {problem.chain.names for problem in problems(split, 1500) if problem.dtype == "float16"}

    assert halves("dtype")
    assert not halves("train") & halves("dtype")


def test_level_two_is_held_out_by_composition_and_level_one_by_shape_and_dtype() -> None:
    tasks = nano_tasks("held_out", 80)
    ways = [(task.level, task.origin) for task in tasks]
    assert {way: ways.count(way) for way in set(ways)} == {
        (2, "nano:composition"): 40,
        (1, "nano:shape"): 20,
        (1, "nano:dtype"): 20,
    }
    assert {way.removeprefix("nano:") for _, way in ways} == set(HELD_OUT)


def test_an_unknown_split_is_named() -> None:
    with pytest.raises(ValueError, match="'test'"):
        nano_tasks("test", 1)


def test_references_run_on_every_case_and_what_may_vary_is_there() -> None:
    request = CaseRequest(count=5, shapes=True, values=True, layouts=True)
    for task in nano_tasks("held_out", 24, seed=1):
        assert set(task.vary) <= set(integer_constants(task.source))
        reference = Reference(task)
        for case in make_cases(task, request):
            [output] = reference.materialise(case).expected()
            assert output.isfinite().all(), (task.id, case)


def test_what_may_vary_is_said_in_the_prompt() -> None:
    for task in nano_tasks("train", 10):
        assert all(f"{name}: " in task.prompt for name in task.vary)


def test_chains_whose_steps_do_not_show_are_refused() -> None:
    relu, shift, clamp = Step("relu"), Step("shift", "3.0"), Step("clamp", "0.5")
    assert is_meaningful(Chain((), "", (relu,)))
    assert not is_meaningful(Chain((), "", (Step("square"), relu, shift)))  # relu does nothing
    assert not is_meaningful(Chain((), "", (Step("sigmoid"), shift, clamp)))  # constant
    assert not is_meaningful(Chain((), "sum", (Step("square"), Step("scale", "3.0"))), "float16")  # overflows

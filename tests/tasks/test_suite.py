"""The built-in suite: enough tasks, all of which run in all that they declare, with nothing held out in training."""

from collections import Counter

import pytest

from tritonrl_core.bench.references.constants import integer_constants
from tritonrl_core.bench.references.reference import Reference
from tritonrl_core.errors import UsageError
from tritonrl_core.tasks.cases import make_cases
from tritonrl_core.tasks.room import Room
from tritonrl_core.tasks.suite import builtin_tasks
from tritonrl_core.tasks.suites import SPLITS
from tritonrl_core.types import CaseRequest

SMALL, FULL = builtin_tasks("all"), builtin_tasks("all", "full")


def test_there_are_as_many_tasks_as_promised():
    levels = Counter(task.level for task in SMALL)
    assert levels[1] >= 60
    assert levels[2] >= 40
    assert len({task.id for task in SMALL}) == len(SMALL)


def test_every_split_has_both_levels():
    for split in ("train", "held_out"):
        assert {task.level for task in builtin_tasks(split)} == {1, 2}
    assert len(builtin_tasks("train")) + len(builtin_tasks("held_out")) == len(SMALL)


def test_both_sizes_have_the_same_tasks_and_the_same_computation():
    assert [task.id for task in SMALL] == [task.id for task in FULL]
    for small, full in zip(SMALL, FULL, strict=True):
        assert small.key != full.key
        assert small.vary.keys() == full.vary.keys()
        strip = str.maketrans("", "", "0123456789")
        assert small.source.translate(strip) == full.source.translate(strip)


def test_what_varies_is_declared_said_and_never_the_value_as_written():
    for task in (*SMALL, *FULL):
        constants = integer_constants(task.source)
        assert task.vary
        for name, values in task.vary.items():
            assert name in task.prompt
            assert constants[name] not in values


@pytest.mark.parametrize("task", SMALL, ids=lambda task: task.id)
def test_the_reference_runs_in_everything_that_it_declares(task):
    reference = Reference(task)
    for case in make_cases(task, CaseRequest(6, shapes=True, values=True, dtypes=True, layouts=True)):
        materials = reference.materialise(case)
        assert materials.expected()
        assert materials.fp64_fallback == ""


def test_no_training_task_computes_what_a_held_out_one_does():
    room = Room()
    trained, tested = ({room.computation(task) for task in builtin_tasks(split)} for split in SPLITS)
    assert not trained & tested


def test_unknown_splits_and_sizes_are_refused():
    with pytest.raises(UsageError, match="unknown split 'test'"):
        builtin_tasks("test")
    with pytest.raises(UsageError, match="unknown size 'huge'"):
        builtin_tasks("train", "huge")

"""The full-size benchmark: what it asks for, and the table that it makes of what came."""

import full_size
import pytest
from tables import Machine

from tritonrl_core.tasks.suite import operators

CASE = {"buffer_bytes": 2 << 30, "guard_bytes": 8192, "bytes_while_running": (2 << 30) + 8192 + 512,
        "bytes_at_most": 20 << 30}  # fmt: skip
GOOD = {"size": "large", "task": "l1_relu", "family": "elementwise", "status": "PASSED", "reason": "", "seconds": 2.0,
        "input_bytes": 1 << 30, "problem": "", "timing": {"bytes_at_most": 30 << 30}, "cases": [CASE] * 5}  # fmt: skip
MACHINE = Machine("2026-01-01", "a GPU", "1", 16, "3.12", "2.11", "3.6")


@pytest.mark.parametrize("name", ["relu", "matmul", "conv2d", "attention", "index_add", "sum_all"])
def test_tasks_grow_to_the_bytes_that_are_asked_for(name):
    operator = next(one for one in operators() if one.name == name)
    large = full_size.enlarged(operator)
    before, inputs, outputs = (full_size.bytes_of(operator.task("full")), *full_size.bytes_of(large.task("full")))
    assert before[0] < inputs <= full_size.MOST_IN[operator.family in full_size.COMPUTING]
    assert outputs <= full_size.MOST_OUT
    assert inputs + outputs > 3 << 28


def test_every_task_is_there_at_its_own_size():
    assert len(list(full_size.tasks("full"))) == len(operators())


def test_the_table_names_what_is_slow_and_what_was_refused():
    slow = {**GOOD, "task": "l1_tanh", "seconds": 9.5}
    wrong = {**GOOD, "task": "l1_elu", "status": "WRONG", "reason": "output is 1", "cases": []}
    made = full_size.table([GOOD, slow, wrong], "large", MACHINE)
    assert made.rows[-1][:3] == ["**all**", 3, 2]
    assert made.rows[-1][4:9] == [10, 9.5, 9.5, "l1_tanh", 512 / 2**20]
    assert made.rows[-1][9] == 30
    assert made.notes[0].startswith("3 of ")
    assert any("l1_tanh 9.5 s" in note for note in made.notes)
    assert any("l1_elu: WRONG" in note for note in made.notes)


def test_the_table_of_large_tasks_counts_those_that_can_grow():
    rows = [{**GOOD, "task": task.id, "family": task.family} for task in full_size.tasks("large")]
    assert 100 < len(rows) < len(operators())
    assert full_size.table(rows[1:], "large", MACHINE).notes[0].startswith(f"{len(rows) - 1} of {len(rows)} tasks")

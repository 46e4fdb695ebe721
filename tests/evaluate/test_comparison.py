"""Comparing evaluations: pairing by task makes small differences visible, and only shared tasks count."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from tritonrl_core.errors import UsageError
from tritonrl_core.evaluate.comparison import compare
from tritonrl_core.evaluate.tables import comparison_data, comparison_rows
from tritonrl_core.types import Status


def side(kit: Any, rates: list[float], samples: int = 20, speedup: float = 1.0) -> list[Any]:
    return [
        kit.score(Status.PASSED if place < rate * samples else Status.WRONG, task=f"t{task}", speedup=speedup)
        for task, rate in enumerate(rates)
        for place in range(samples)
    ]


def test_a_small_gain_on_every_task_is_seen_though_tasks_differ_much(kit: Any) -> None:
    rng = Random(1)
    rates = [rng.choice([0.1, 0.5, 0.85]) for _ in range(40)]
    found = compare({"a": side(kit, rates), "b": side(kit, [rate + 0.1 for rate in rates], speedup=1.5)})
    first, second = found.sides
    gain = second.gains["correct"]
    assert gain.value == pytest.approx(0.1)
    assert gain.low > 0.05
    assert first.figures["correct"].high > second.figures["correct"].low, "unpaired intervals overlap"
    assert second.gains["speedup"].value == pytest.approx(1.5)
    assert first.gains["correct"].value == first.gains["correct"].low == first.gains["correct"].high == 0.0


def test_equal_sides_show_no_difference_and_no_star(kit: Any) -> None:
    scores = side(kit, [0.3, 0.6, 0.9] * 5)
    found = compare({"a": scores, "b": scores})
    _, rows = comparison_rows(found)
    assert not any("*" in cell for row in rows for cell in row)


def test_only_tasks_that_all_answered_count(kit: Any) -> None:
    found = compare({"a": side(kit, [1.0] * 6), "b": side(kit, [1.0] * 8), "c": side(kit, [1.0] * 7)})
    assert (found.tasks, found.left_out) == (6, 2)
    assert [part.samples for part in found.sides] == [120, 120, 120]


def test_infra_is_left_out(kit: Any) -> None:
    tasks = [f"t{task}" for task in range(6)]
    good = [kit.score(task=task) for task in tasks]
    found = compare({"a": good, "b": [*good, kit.score(Status.INFRA, task="t0")]})
    assert found.sides[1].figures["correct"].value == 1.0


def test_nothing_to_compare_is_said(kit: Any) -> None:
    with pytest.raises(UsageError, match="cannot be compared"):
        compare({"a": [kit.score()]})
    with pytest.raises(UsageError, match="no task in common"):
        compare({"a": [kit.score(task="a")], "b": [kit.score(task="b")]})


def test_the_data_has_every_figure_and_no_nan(kit: Any) -> None:
    scores = side(kit, [0.3, 0.6, 0.9] * 2, speedup=1.0)
    data = comparison_data(compare({"a": scores, "b": scores}))
    assert data["sides"][1]["against_first"]["correct"] == {"value": 0.0, "low": 0.0, "high": 0.0}
    assert data["sides"][1]["against_first"]["speedup"] == {"value": 1.0, "low": 1.0, "high": 1.0}


def test_few_tasks_have_a_difference_and_no_interval(kit: Any) -> None:
    found = compare({"a": side(kit, [0.5, 0.5]), "b": side(kit, [1.0, 1.0])})
    _, rows = comparison_rows(found)
    cells = {row[0]: row[3] for row in rows}
    assert cells["correct"] == "+50.0"
    assert comparison_data(found)["sides"][1]["against_first"]["correct"]["low"] is None

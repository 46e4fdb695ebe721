"""Comparing arms of an ablation: what differs is found, what does not is not, and a cell is run once."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random
from typing import Any

import ablations
import pytest

TASKS = [f"task {number}" for number in range(60)]


def arm(share: float, speedup: float, seeds: int = 4, first: int = 0) -> list[dict[str, Any]]:
    """Cells in which each of four samples of a task is right with a probability near `share`."""
    cells = []
    for seed in range(first, first + seeds):
        rng = Random(f"{share}/{seed}")
        rows = []
        for place, name in enumerate(TASKS):
            right = sum(rng.random() < min(1.0, share * (0.5 + place / 60)) for _ in range(4))
            speeds = [speedup * rng.lognormvariate(0, 0.1) for _ in range(right)]
            rows.append({"task": name, "of": 4, "right": right, "speedups": speeds, "greedy": int(right > 2)})
        cells.append({"tasks": rows})
    return cells


def test_a_difference_is_found_with_an_interval_that_leaves_zero_out() -> None:
    found = ablations.differences(*(ablations.sums(arm(*it), TASKS) for it in ((0.7, 2.0), (0.4, 1.0))))
    value, low, high = found["right"]
    assert 0.2 < low < value < high < 0.4
    ratio, slowest, fastest = found["speed"]
    assert 1.8 < slowest < ratio < fastest < 2.2
    assert found["greedy"][0] > 0


def test_two_arms_alike_are_not_told_apart() -> None:
    sides = (ablations.sums(arm(0.5, 1.5, first=first), TASKS) for first in (0, 10))
    for measure, (_, low, high) in ablations.differences(*sides).items():
        assert low <= (1 if measure == "speed" else 0) <= high


def test_with_two_seeds_an_interval_is_over_tasks_alone() -> None:
    unlike = [*arm(0.7, 2.0, seeds=1), *arm(0.3, 2.0, seeds=1)]
    found = ablations.differences(*(ablations.sums(cells, TASKS) for cells in (unlike, unlike)))["right"]
    assert found == (0.0, 0.0, 0.0), "the same tasks in both arms, and the seeds as they are"
    _, low, high = ablations.differences(*(ablations.sums(cells * 2, TASKS) for cells in (unlike, unlike)))["right"]
    assert low < -0.1 < 0.1 < high, "with four of them seeds are drawn too"


def test_a_cell_that_is_there_is_not_run_again(tmp_path: Path) -> None:
    (tmp_path / "split_0.1-0.jsonl").write_text(json.dumps({"arm": "split_0.1", "seed": 0, "tasks": []}) + "\n")
    assert ablations.missing(tmp_path, ["split_0.1", "uniform_0.1"], [0, 1]) == [
        ("uniform_0.1", 0), ("split_0.1", 1), ("uniform_0.1", 1),
    ]  # fmt: skip
    assert list(ablations.read_cells(tmp_path)["split_0.1"]) == [0]


@pytest.mark.parametrize(("device", "suffix"), [("cuda", ""), ("cpu", "-estimated")])
def test_measured_and_estimated_cells_have_tables_of_their_own(device: str, suffix: str) -> None:
    machine = {"date": "", "gpu": "", "driver": "", "cores": 4, "python": "", "torch": "", "triton": ""}
    about = {"device": device, "machine": machine, "steps": 2, "correct": [0.5], "verification_s": [1.0, 2.0]}
    cells = {name: {0: {**about, **arm(0.5, 1.5, seeds=1)[0]}} for name in ("split_0.1", "uniform_0.1")}
    arms, pairs = ablations.tables(cells)
    assert (arms.name, pairs.name) == (f"ablation-arms{suffix}", f"ablation-pairs{suffix}")
    assert [row[0] for row in arms.rows] == ["split_0.1", "uniform_0.1"]
    assert any("estimates" in note for note in pairs.notes) is (device == "cpu")


def test_the_table_says_what_so_few_seeds_resolve() -> None:
    sides = [ablations.sums(arm(*it, seeds=3), TASKS) for it in ((0.7, 1.0), (0.4, 1.0))]
    same = ablations.differences(sides[0], sides[0])
    far = {("one", "other"): ablations.differences(*sides), ("one", "itself"): same}
    least, clear = ablations.resolved(far)
    assert "points (right)" in least
    assert "one against other (right)" in clear
    assert "itself" not in clear
    [few] = ablations.resolved({("one", "other"): far["one", "other"]}, few=[("one", "other")])
    assert "nothing is resolved: one against other" in few


def test_cells_of_different_sizes_make_no_table() -> None:
    machine = {"date": "", "gpu": "", "driver": "", "cores": 4, "python": "", "torch": "", "triton": ""}
    cells = {
        "split_0.1": {
            seed: {"device": "cpu", "machine": machine, "steps": 2 + seed, "tasks": arm(0.5, 1.0)[0]["tasks"]}
            for seed in range(2)
        }
    }
    with pytest.raises(SystemExit, match="different sizes"):
        ablations.tables(cells)

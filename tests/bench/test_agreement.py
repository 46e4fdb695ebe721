"""The agreement that decides over rewards is that of the measurements which are kept beside the benchmarks."""

import math
import sys
from collections import defaultdict
from pathlib import Path
from statistics import fmean, pstdev

import pytest

from tritonrl_core.bench.timing import agreement

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def benchmark_module(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import estimate_agreement

    yield estimate_agreement
    for name in ("estimate_agreement", "kernel_variants", "tables"):
        sys.modules.pop(name, None)


def test_the_figures_are_those_of_the_fresh_tasks(benchmark_module):
    found = benchmark_module.figures(benchmark_module.MEASURED, "fresh_")
    kept = {family: (rank, within) for family, (_, rank, within) in found.items() if rank is not None}
    total = kept.pop(benchmark_module.ALL)
    assert kept.keys() == agreement.RANKS.keys()
    for family, figures in kept.items():
        assert figures == pytest.approx(agreement.RANKS[family], abs=0.001), family
    assert min(total) >= agreement.ENOUGH


def test_fresh_tasks_are_others_than_those_the_constants_were_chosen_on(benchmark_module):
    chosen_on, fresh = (
        {row["name"].partition(":")[0] for row in benchmark_module.rows(benchmark_module.MEASURED / name)}
        for name in ("measured.jsonl", "fresh_measured.jsonl")
    )
    assert len(fresh) >= 30
    assert not chosen_on & fresh


def test_the_scatter_is_theirs(benchmark_module):
    measured, estimated = (
        {row["name"]: row for row in benchmark_module.rows(benchmark_module.MEASURED / name) if "speedup" in row}
        for name in ("fresh_measured.jsonl", "fresh_estimated.jsonl")
    )
    names = sorted(measured.keys() & estimated.keys())
    speedups = [math.log(estimated[name]["speedup"] / measured[name]["speedup"]) for name in names]
    assert pstdev(speedups) == pytest.approx(agreement.SCATTER, abs=0.01)
    tasks = defaultdict(list)
    for name in names:
        tasks[name.partition(":")[0]].append(math.log(estimated[name]["us"] / measured[name]["us"]))
    squares = sum((value - fmean(part)) ** 2 for part in tasks.values() for value in part)
    assert math.sqrt(squares / (len(names) - len(tasks))) == pytest.approx(agreement.SCATTER_WITHIN, abs=0.01)

"""One CPU bench for the whole room: starting its workers takes seconds."""

import sys
from copy import copy
from dataclasses import replace
from pathlib import Path

import pytest

from tritonrl_core.bench.local import LocalBench, open_local_bench
from tritonrl_core.tasks.cases import make_cases
from tritonrl_core.types import BenchSpec, Candidate, CaseRequest, Limits, Task

sys.path.append(str(Path(__file__).parent))  # so that tests, and the workers they start, find this room's samples

from bench_samples import REFERENCE


def spec(**changes):
    values = {
        "device": "cpu", "target": "sm_90", "cpu_workers": 2, "gpus": (), "gpu_memory_bytes": None, "timeout_s": 10.0,
        "delegation": "layout_only", "precision": "ieee", "worker_preset": {},
    }
    return BenchSpec(**{**values, **changes})


@pytest.fixture(scope="session")
def bench():
    bench = open_local_bench(spec(), make_cases)
    yield bench
    bench.close()


@pytest.fixture(scope="session")
def impatient_bench():
    """As `bench`, with a second by the clock for each step of a candidate and little memory for its replay."""
    bench = LocalBench(spec(timeout_s=1.0, cpu_workers=1), make_cases)
    limits = Limits(wall_s=1.0, cpu_s=5, memory_bytes=1 << 30, output_bytes=1 << 20)
    bench._resources = replace(bench._resources, limits=limits)
    yield bench
    bench.close()


@pytest.fixture(scope="session")
def frugal_bench(impatient_bench):
    """As `impatient_bench`, with a second of CPU time instead: what does little is not stopped on a busy machine."""
    bench = copy(impatient_bench)
    bench._resources = replace(bench._resources, limits=replace(bench._resources.limits, wall_s=60.0, cpu_s=1))
    return bench


@pytest.fixture(scope="session")
def judge(bench):
    """judge(code, reference=..., **fields of the task) -> the result on the task as written."""

    def judge(code, reference=REFERENCE, case=None, on=None, **fields):
        program = (on or bench).program(
            Task(**{"id": "t", "level": 1, "source": reference, **fields}), Candidate.from_code(code)
        )
        return program.run(case or program.cases(CaseRequest())[0])

    return judge

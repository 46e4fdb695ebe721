"""Real kernels: every forward operator of Liger-Kernel that has a plain reference records and compiles without a GPU.

On a GPU they are also replayed and must be right. Skipped where the package (a test-only dependency) is not installed.
"""

import importlib.util as find
import os
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tritonrl_core.bench.prepare import Preparation, Ready
from tritonrl_core.bench.targets import gpu_for
from tritonrl_core.types import BenchSpec, Candidate, CaseRequest, CaseResult, InputCase, Status, Task

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find.find_spec("liger_kernel") is None, reason="liger-kernel is not installed"),
]


def _corpus() -> dict:
    spec = find.spec_from_file_location("liger_corpus", Path(__file__).parent / "liger_corpus.py")
    module = find.module_from_spec(spec)
    sys.modules["liger_corpus"] = module
    spec.loader.exec_module(module)
    return dict(module.OPERATORS)


OPERATORS = _corpus()
CASE = InputCase("as written", seed=11)


def one_case(task: Task, request: CaseRequest) -> list[InputCase]:
    return [InputCase(f"case {n}", seed=request.seed + n) for n in range(max(1, request.count))]


def spec(device: str, target: str) -> BenchSpec:
    workers = min(16, len(os.sched_getaffinity(0)))
    gpus = (0,) if device == "cuda" else ()
    return BenchSpec(device, target, workers, gpus, None, 120.0, "reported", "ieee", {})


@pytest.fixture(scope="module")
def preparation() -> Iterator[Preparation]:
    made = Preparation(spec("cpu", "sm_90"), gpu_for("sm_90"), one_case)
    yield made
    made.close()


@pytest.mark.parametrize("name", OPERATORS)
def test_an_operator_is_recorded_and_compiled(preparation, name):
    task = Task(id=name, level=1, source=OPERATORS[name].source)
    ready = preparation.prepare(task, Candidate.from_code(OPERATORS[name].code), CASE)
    assert isinstance(ready, Ready), ready
    assert ready.plan.launches()


@pytest.fixture(scope="module")
def results() -> Iterator[dict[str, CaseResult]]:
    """Every operator's result on the GPU, judged side by side: each imports the package anew."""
    from tritonrl_core.bench.gpu_program import GpuBench
    from tritonrl_core.bench.resolve import visible_gpus

    gpus = visible_gpus()
    if not gpus:
        pytest.skip("no NVIDIA GPU")
    bench = GpuBench(spec("cuda", gpus[0].target), one_case)

    def judged(name: str) -> CaseResult:
        task = Task(id=name, level=1, source=OPERATORS[name].source, tolerance=None)
        return bench.program(task, Candidate.from_code(OPERATORS[name].code)).run(CASE)

    with ThreadPoolExecutor(16) as threads:
        yield dict(zip(OPERATORS, threads.map(judged, OPERATORS), strict=True))
    bench.close()


@pytest.mark.gpu
@pytest.mark.parametrize("name", OPERATORS)
def test_an_operator_is_right_on_the_gpu(results, name):
    assert results[name].status is Status.PASSED, results[name].reason

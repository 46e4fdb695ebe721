"""Real kernels: every forward operator of Liger-Kernel that has a plain reference records and compiles without a GPU.

On a GPU they are also replayed and must be right. Skipped where the package (a test-only dependency) is not installed.
"""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import corpus
import pytest

from tritonrl_core.bench.prepare import Preparation, Ready
from tritonrl_core.bench.targets import gpu_for
from tritonrl_core.types import BenchSpec, Candidate, CaseRequest, CaseResult, InputCase, Status, Task

OPERATORS = {one.name: one for one in corpus.liger()}

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not OPERATORS, reason="liger-kernel is not installed")]

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
    operator = OPERATORS[name]
    ready = preparation.prepare(operator.task, Candidate.from_code(operator.code), CASE)
    assert isinstance(ready, Ready), ready
    assert ready.plan.launches()


@pytest.fixture(scope="module")
def results() -> Iterator[dict[str, CaseResult]]:
    """Every operator's result on the GPU, judged side by side."""
    from tritonrl_core.bench.gpu_program import GpuBench
    from tritonrl_core.bench.resolve import visible_gpus

    gpus = visible_gpus()
    if not gpus:
        pytest.skip("no NVIDIA GPU")
    bench = GpuBench(spec("cuda", gpus[0].target), one_case)

    def judged(name: str) -> CaseResult:
        operator = OPERATORS[name]
        return bench.program(operator.task, Candidate.from_code(operator.code)).run(CASE)

    with ThreadPoolExecutor(16) as threads:
        yield dict(zip(OPERATORS, threads.map(judged, OPERATORS), strict=True))
    bench.close()


@pytest.mark.gpu
@pytest.mark.parametrize("name", OPERATORS)
def test_an_operator_is_right_on_the_gpu(results, name):
    assert results[name].status is Status.PASSED, results[name].reason

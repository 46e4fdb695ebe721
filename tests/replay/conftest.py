"""A bench with the machine's first GPU. Without one, the tests that ask for it are skipped."""

import os
import subprocess
from collections.abc import Callable, Iterator

import pytest

from tritonrl_core.types import BenchSpec, Candidate, CaseRequest, CaseResult, InputCase, Task

HEAD = "import torch\nimport torch.nn as nn\nimport triton\nimport triton.language as tl\n"


def capability() -> str:
    """The first GPU's target, or "" where the driver shows none. Touches no CUDA in this process."""
    command = ["nvidia-smi", "--query-gpu=compute_cap", "--format=csv,noheader"]
    try:
        shown = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return ""
    lines = shown.split()
    return f"sm_{lines[0].replace('.', '')}" if lines else ""


def one_case(task: Task, request: CaseRequest) -> list[InputCase]:
    """Cases of another seed each, as the task is written."""
    kinds = ["normal", "large", "zeros", "normal", "normal", "normal"] if request.values else ["normal"] * 6
    count = max(1, request.count)
    return [InputCase(f"case {n}", seed=request.seed + n, distribution=kinds[n % 6]) for n in range(count)]


@pytest.fixture(scope="session")
def gpu_bench() -> Iterator[object]:
    target = capability()
    if not target:
        pytest.skip("no NVIDIA GPU")
    from tritonrl_core.bench.gpu_program import GpuBench

    workers = min(4, len(os.sched_getaffinity(0)))
    bench = GpuBench(BenchSpec("cuda", target, workers, (0,), None, 20.0, "layout_only", "ieee", {}), one_case)
    yield bench
    bench.close()


@pytest.fixture
def judge(gpu_bench) -> Callable[..., CaseResult]:
    """Judge code (without imports) for a reference (without imports) on one case."""

    def run(reference: str, code: str, case: InputCase | None = None, **more: object) -> CaseResult:
        task = Task(id="t", level=1, source="import torch\nimport torch.nn as nn\n" + reference, **more)
        program = gpu_bench.program(task, Candidate.from_code(HEAD + code))
        return program.run(case or one_case(task, CaseRequest())[0])

    return run

"""Previews of a bench with a GPU: what is certain before anything is compiled. No GPU is needed to make one."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch

from tritonrl_core.bench import preview as previews
from tritonrl_core.bench.plan.schema import Note
from tritonrl_core.bench.prepare import Recorded
from tritonrl_core.bench.preview import BY_FAR, CpuPreviews
from tritonrl_core.preset import load_preset
from tritonrl_core.testing import SAMPLE_KERNEL, sample_task
from tritonrl_core.types import Candidate, CaseRequest, CaseResult, Stage, Status
from tritonrl_core.verifier import Verifier

TASK = sample_task()


@pytest.fixture(scope="module")
def verifier() -> Iterator[Verifier]:
    with Verifier(load_preset("baseline", ["verifier.device=cpu", "verifier.cpu_workers=1"])) as opened:
        yield opened


@pytest.fixture(scope="module")
def cpu(verifier: Verifier) -> Iterator[CpuPreviews]:
    opened = CpuPreviews(verifier.spec)
    yield opened
    opened.close()


def recorded(verifier: Verifier, code: str) -> Recorded:
    program = verifier.bench.program(TASK, Candidate.from_code(code))
    found = program._record(program.cases(CaseRequest(count=1))[0])
    assert isinstance(found, Recorded)
    return found


def previewed(verifier: Verifier, cpu: CpuPreviews, code: str) -> CaseResult:
    case = verifier.bench.program(TASK, Candidate.from_code(code)).cases(CaseRequest(count=1))[0]
    return cpu.preview(TASK, case, recorded(verifier, code))


def test_a_result_that_is_off_by_far_is_wrong(verifier: Verifier, cpu: CpuPreviews) -> None:
    code = SAMPLE_KERNEL.replace("tl.maximum(x, 0.0)", "tl.maximum(x, 1.0)")
    result = previewed(verifier, cpu, code)
    assert result.status is Status.WRONG
    assert "replayed on a CPU" in result.reason
    assert result.error is not None
    assert result.error > BY_FAR
    replayed = cpu._replayed(TASK, result.case, recorded(verifier, code))
    assert replayed.comparison.facts == {}, "they take longer than all the rest, and nobody asks a preview for them"


@pytest.mark.parametrize("change", ["tl.maximum(x, 0.0)", "tl.maximum(x, 0.0) * 1.0003"])
def test_right_and_nearly_right_kernels_are_left_to_the_gpu(verifier: Verifier, cpu: CpuPreviews, change: str) -> None:
    code = SAMPLE_KERNEL.replace("tl.maximum(x, 0.0)", change)
    assert previewed(verifier, cpu, code).status is Status.PASSED
    judged = verifier.verify(TASK, code).verdict
    assert judged.status is (Status.PASSED if change == "tl.maximum(x, 0.0)" else Status.WRONG)


def test_what_stops_here_may_run_on_a_gpu(verifier: Verifier, cpu: CpuPreviews) -> None:
    code = SAMPLE_KERNEL.replace("offsets < n", "offsets < 2 * n")
    assert verifier.verify(TASK, code).verdict.status is Status.RUNTIME_ERROR
    assert previewed(verifier, cpu, code).status is Status.PASSED


def test_what_is_dear_or_depends_on_values_is_not_tried(
    verifier: Verifier, cpu: CpuPreviews, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = SAMPLE_KERNEL.replace("tl.maximum(x, 0.0)", "tl.maximum(x, 1.0)")
    case = verifier.bench.program(TASK, Candidate.from_code(wrong)).cases(CaseRequest(count=1))[0]
    known = recorded(verifier, wrong)
    read = replace(known, plan=replace(known.plan, notes=(Note("readback", 3, "1.5"),)))
    assert cpu.preview(TASK, case, read).status is Status.PASSED
    monkeypatch.setattr(previews, "MOST_BYTES", 8)
    assert cpu.preview(TASK, case, known).status is Status.PASSED


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no NVIDIA GPU")
def test_a_bench_with_a_gpu_ends_what_is_wrong_by_far_before_it_is_compiled() -> None:
    wrong = SAMPLE_KERNEL.replace("tl.maximum(x, 0.0)", "tl.maximum(x, 1.0)")
    preset = load_preset("baseline", ["verifier.device=cuda", "verifier.cpu_workers=1"]).with_plugins("funnel")
    with Verifier(preset) as opened:
        ended = opened.verify(TASK, wrong).verdict
        assert (ended.status, ended.stage, ended.compiled) == (Status.WRONG, Stage.TINY, None)
        assert "replayed on a CPU" in ended.reason
        assert opened.verify(TASK, SAMPLE_KERNEL).verdict.status is Status.PASSED

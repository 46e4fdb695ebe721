"""The plugin alone, on the real CPU bench: what one input lets pass, and what five show."""

from collections.abc import Iterator

import pytest

from tritonrl_core.preset import load_preset
from tritonrl_core.testing import SAMPLE_KERNEL, sample_task
from tritonrl_core.types import Status
from tritonrl_core.verifier import Verifier

TASK = sample_task()
BAKED = SAMPLE_KERNEL.replace("n = x.numel()", "n = 64")
FLAT = SAMPLE_KERNEL.replace("x = x.contiguous()", "pass").replace("torch.empty_like(x)", "torch.zeros(x.shape)")
GUARDED = SAMPLE_KERNEL.replace("n = x.numel()", "n = x.numel()\n        assert n == 64, 'only 64 values'")


@pytest.fixture(scope="module")
def verifier() -> Iterator[Verifier]:
    preset = load_preset("baseline", ["verifier.device=cpu", "verifier.cpu_workers=1"])
    with Verifier(preset.with_plugins("multi_input")) as opened:
        yield opened


def test_a_right_kernel_passes_five_cases(verifier: Verifier) -> None:
    verdict = verifier.verify(TASK, SAMPLE_KERNEL).verdict
    assert (verdict.status, verdict.cases_passed, verdict.source) == (Status.PASSED, 5, "multi_input"), verdict.reason


def test_a_baked_in_size_is_found_and_where_is_said(verifier: Verifier) -> None:
    verdict = verifier.verify(TASK, BAKED).verdict
    assert verdict.status is Status.WRONG
    assert "input case N=65" in verdict.reason or "input case N=48" in verdict.reason
    assert verdict.worst is None or verdict.worst.index[0] >= 64


def test_kinds_of_mistake_are_named(verifier: Verifier) -> None:
    mistakes = {
        "never written": SAMPLE_KERNEL.replace("offsets < n", "offsets < n - 1"),
        "precision: right to about": SAMPLE_KERNEL.replace("tl.maximum(x, 0.0)", "tl.maximum(x, 0.0) * 1.002"),
        "axis or stride": SAMPLE_KERNEL.replace("y_ptr + offsets", "y_ptr + n - 1 - offsets"),
    }
    for kind, code in mistakes.items():
        assert kind in verifier.verify(TASK, code).verdict.reason


def test_a_kernel_for_contiguous_inputs_alone_is_found(verifier: Verifier) -> None:
    verdict = verifier.verify(TASK, FLAT).verdict
    assert verdict.status is not Status.PASSED
    assert "strided" in verdict.reason


def test_a_guard_against_a_declared_case_is_named_in_its_own_words(verifier: Verifier) -> None:
    verdict = verifier.verify(TASK, GUARDED).verdict
    assert verdict.status is Status.RUNTIME_ERROR
    assert "only 64 values" in verdict.reason

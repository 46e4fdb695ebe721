"""The plugin alone, on the real CPU bench: the same statuses with it and without, and the stage that decided."""

from collections.abc import Iterator

import pytest

from tritonrl_core.preset import load_preset
from tritonrl_core.testing import SAMPLE_KERNEL, sample_task
from tritonrl_core.types import Stage, Status
from tritonrl_core.verifier import Verifier

TASK = sample_task()
CASES = {
    SAMPLE_KERNEL: (Status.PASSED, Stage.FULL),
    "def (": (Status.REJECTED, Stage.AST),
    SAMPLE_KERNEL.replace("y, n, BLOCK=128", "y, n"): (Status.RUNTIME_ERROR, Stage.AST),
    SAMPLE_KERNEL.replace("tl.maximum(x, 0.0)", "tl.relu(x)"): (Status.BUILD_ERROR, Stage.AST),
    SAMPLE_KERNEL.replace("return y", "return y.as_written()"): (Status.RUNTIME_ERROR, None),
    SAMPLE_KERNEL.replace("tl.maximum(x, 0.0)", "tl.minimum(x, 0.0)"): (Status.WRONG, Stage.TINY),
}


@pytest.fixture(scope="module")
def verifier() -> Iterator[Verifier]:
    preset = load_preset("baseline", ["verifier.device=cpu", "verifier.cpu_workers=1"])
    with Verifier(preset.with_plugins("funnel")) as opened:
        yield opened


def test_each_mistake_ends_at_its_stage(verifier: Verifier) -> None:
    for code, (status, stage) in CASES.items():
        verdict = verifier.verify(TASK, code).verdict
        assert verdict.status is status, verdict.reason
        assert stage in (None, verdict.stage), verdict.reason
        assert "pre_filter" in verdict.stage_seconds


def test_with_the_funnel_off_the_same_pass(verifier: Verifier) -> None:
    preset = load_preset("baseline", ["verifier.device=cpu", "verifier.cpu_workers=1"])
    with Verifier(preset) as without:
        for code in CASES:
            before, after = without.verify(TASK, code).verdict, verifier.verify(TASK, code).verdict
            assert before.correct is after.correct, (before.reason, after.reason)

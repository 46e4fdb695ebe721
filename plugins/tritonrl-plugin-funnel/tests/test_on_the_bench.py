"""The plugin alone, on the real CPU bench: the same statuses with it and without, and the stage that decided."""

from collections.abc import Iterator

import pytest
from tritonrl_plugin_funnel import FunnelPlugin

from tritonrl_core.preset import load_preset
from tritonrl_core.testing import SAMPLE_KERNEL, sample_task
from tritonrl_core.types import Candidate, CaseRequest, Previews, Stage, Status
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


def test_a_wrong_result_ends_it_before_anything_is_compiled(verifier: Verifier) -> None:
    wrong = SAMPLE_KERNEL.replace("tl.maximum(x, 0.0)", "tl.maximum(x, 1.0)")
    candidate = Candidate.from_code(wrong)
    program = verifier.bench.program(TASK, candidate)
    funnel = FunnelPlugin(FunnelPlugin.Options())
    objection = funnel.objection(TASK, candidate, program)
    assert objection is not None
    assert (objection.status, objection.stage, objection.compiled) == (Status.WRONG, Stage.TINY, None)
    figures = funnel.collect_metrics(0)
    assert (figures["tiny_run_stopped"], figures["compile_asked"]) == (1, 0)


def test_a_preview_says_what_the_run_says(verifier: Verifier) -> None:
    program = verifier.bench.program(TASK, Candidate.from_code(SAMPLE_KERNEL + "\n# once\n"))
    assert isinstance(program, Previews)
    [case] = program.cases(CaseRequest(count=1))
    preview = program.preview(case)
    result = program.run(case)
    assert (preview.status, preview.error) == (result.status, result.error) == (Status.PASSED, result.error)
    assert result.facts["estimated_us"] > 0
    assert "prepare_seconds" in result.facts
    assert "prepare_seconds" not in preview.facts


def test_with_the_funnel_off_the_same_pass(verifier: Verifier) -> None:
    preset = load_preset("baseline", ["verifier.device=cpu", "verifier.cpu_workers=1"])
    with Verifier(preset) as without:
        for code in CASES:
            before, after = without.verify(TASK, code).verdict, verifier.verify(TASK, code).verdict
            assert before.correct is after.correct, (before.reason, after.reason)

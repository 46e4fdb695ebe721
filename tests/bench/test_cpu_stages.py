"""The CPU bench's stages: record, rules and compile for the target come before the replay."""

from dataclasses import replace

import pytest
from bench_samples import GOOD, REFERENCE

from tritonrl_core.bench.program import NOT_ASSEMBLED
from tritonrl_core.types import Candidate, CaseRequest, Stage, Status, Task

TASK = Task(id="t", level=1, source=REFERENCE)


def kernel(line):
    return GOOD.replace("    tl.store(y + i, tl.maximum(v, 0.0), mask=m)\n", f"    {line}\n")


@pytest.fixture(scope="module")
def run(bench):
    def run(code, task=TASK):
        program = bench.program(task, Candidate.from_code(code))
        return program.run(program.cases(CaseRequest())[0])

    return run


def test_what_passes_was_compiled_for_the_target(run):
    result = run(GOOD)
    assert (result.status, result.stage) == (Status.PASSED, Stage.FULL)
    assert result.facts["registers"] > 0
    assert not any("compilation" in item for item in result.unchecked)


@pytest.mark.parametrize(
    ("code", "status", "stage"),
    [
        (kernel("tl.store(y + i, v, mask=m)"), Status.WRONG, Stage.FULL),
        (kernel("tl.store(y + i + 9999, v, mask=m)"), Status.RUNTIME_ERROR, Stage.FULL),
        (GOOD.replace("return y", "raise ValueError('words')"), Status.RUNTIME_ERROR, Stage.RECORD),
        (kernel("tl.no_such_function(v)"), Status.BUILD_ERROR, None),
        (kernel("r = 0.0 < v < 1.0"), Status.BUILD_ERROR, None),
        ("class ModelNew(:", Status.REJECTED, Stage.AST),
        (GOOD.replace("return y", "return y + 0"), Status.REJECTED, Stage.RECORD),
        (GOOD.replace("kernel[(tri", "0 and kernel[(tri"), Status.REJECTED, Stage.RECORD),
        (kernel("tl.store(y + i, tl.load(x + i, mask=m), mask=m)"), Status.CHEATED, Stage.RECORD),
    ],
)
def test_statuses_with_record_and_compile_first(run, code, status, stage):
    result = run(code)
    assert result.status is status, result
    assert stage is None or result.stage is stage, result
    assert result.reason


def test_an_objection_is_the_same_for_every_case_of_a_signature(bench):
    program = bench.program(TASK, Candidate.from_code(GOOD.replace("return y", "return y + 1")))
    first, second = program.cases(CaseRequest(count=2, values=True))
    assert program.run(first).status is program.run(second).status is Status.REJECTED
    assert len(program._plans) == 1


def test_only_the_task_as_written_is_compiled_to_the_end(bench):
    contiguous = GOOD.replace("def forward(self, x):\n", "def forward(self, x):\n        x = x.contiguous()\n")
    unknown = contiguous.replace("kernel", "never_compiled_before")
    program = bench.program(TASK, Candidate.from_code(unknown))
    written = program.cases(CaseRequest())[0]
    strided = replace(written, layout="strided")
    result = program.run(strided)
    assert (result.status, result.facts["registers"]) == (Status.PASSED, -1), result
    assert NOT_ASSEMBLED in result.unchecked
    assert program.compile(strided).facts["registers"] > 0  # because it is asked for
    result = program.run(written)
    assert result.facts["registers"] > 0
    assert NOT_ASSEMBLED not in result.unchecked

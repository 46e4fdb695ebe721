"""Recording what will be asked for next in the child that is there already."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from tritonrl_core.bench.plan.check import PlanLimits
from tritonrl_core.bench.plan.schema import LaunchPlan
from tritonrl_core.bench.record.ahead import IN_FLIGHT, TRY_EVERY, Ahead, Habit
from tritonrl_core.bench.record.recordings import Recordings
from tritonrl_core.bench.record.request import RecordFailure, joined_parts, split_parts
from tritonrl_core.bench.targets import gpu_for
from tritonrl_core.tasks.cases import make_cases
from tritonrl_core.types import Candidate, CaseRequest, InputCase, Limits, Status, Task

TASK = Task("double", 1, """
import torch
N = 100
class Model(torch.nn.Module):
    def forward(self, x):
        return x * 2.0
def get_inputs():
    return [torch.randn(64, N)]
def get_init_inputs():
    return []
""", vary={"N": (77,)})  # fmt: skip
CODE = """
import os
import torch
import triton
import triton.language as tl
@triton.jit
def double(x_ptr, o_ptr, n, BLOCK: tl.constexpr):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    tl.store(o_ptr + i, tl.load(x_ptr + i, mask=i < n) * 2.0, mask=i < n)
class ModelNew(torch.nn.Module):
    def forward(self, x):
        out = torch.empty_like(x)
        double[(triton.cdiv(x.numel(), 128),)](x, out, x.numel(), BLOCK=128)
        return out
"""
WRITTEN = InputCase("as written", seed=1)
VARIED = InputCase("N=77", seed=2, dims={"N": 77})


@pytest.fixture(scope="module")
def recordings() -> Iterator[Recordings]:
    made = Recordings(gpu_for("sm_90"), 1, Limits(wall_s=60, cpu_s=60, output_bytes=1 << 20), PlanLimits())
    yield made
    made.close()


def plan(recording: object) -> LaunchPlan:
    assert isinstance(recording.plan, LaunchPlan), recording
    return recording.plan


def children(recordings: Recordings, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """One entry for each job from now on."""
    seen: list[int] = []
    own = recordings._server.run
    monkeypatch.setattr(recordings._server, "run", lambda fds, limits: seen.append(len(fds)) or own(fds, limits))
    return seen


def test_what_is_recorded_ahead_is_what_a_child_of_its_own_records(recordings, monkeypatch):
    jobs = children(recordings, monkeypatch)
    candidate = Candidate.from_code(CODE)
    first = plan(recordings.first(TASK, candidate, WRITTEN, ahead=[VARIED]))
    second = recordings.first(TASK, candidate, VARIED)
    assert len(jobs) == 1
    assert plan(second).inputs[0].shape == (64, 77)
    assert second.seconds == 0.0  # had with the first
    assert (first, second.plan) == tuple(plan(recordings.record(TASK, candidate, case)) for case in (WRITTEN, VARIED))
    assert len(jobs) == 3
    recordings.first(TASK, candidate, VARIED)
    assert len(jobs) == 4  # what was made ahead is given once


def test_a_failure_ends_it(recordings, monkeypatch):
    jobs = children(recordings, monkeypatch)
    wrong = Candidate.from_code(CODE.replace("return out", "raise ValueError('no')"))
    first = recordings.first(TASK, wrong, WRITTEN, ahead=[VARIED])
    assert isinstance(first.plan, RecordFailure)
    recordings.first(TASK, wrong, VARIED)
    assert len(jobs) == 2


def test_a_shape_that_nobody_asked_for_yet_harms_no_other(recordings, monkeypatch):
    jobs = children(recordings, monkeypatch)
    ending = "        os._exit(3) if x.shape[1] == 77 else 0\n"
    ends = Candidate.from_code(CODE.replace("        out =", f"{ending}        out ="))
    plan(recordings.first(TASK, ends, WRITTEN, ahead=[VARIED]))
    assert len(jobs) == 2
    failure = recordings.first(TASK, ends, VARIED).plan
    assert isinstance(failure, RecordFailure)
    assert failure.status is Status.RUNTIME_ERROR
    assert len(jobs) == 3


def test_a_child_that_ends_in_what_was_asked_for_is_not_run_again(recordings, monkeypatch):
    jobs = children(recordings, monkeypatch)
    ends = Candidate.from_code(CODE.replace("        out =", "        os._exit(3)\n        out ="))
    failure = recordings.first(TASK, ends, WRITTEN, ahead=[VARIED]).plan
    assert isinstance(failure, RecordFailure)
    assert failure.status is Status.RUNTIME_ERROR
    assert len(jobs) == 1


def test_the_default_dtype_is_each_recordings_own(recordings):
    changes = CODE.replace("        out =", "        torch.set_default_dtype(torch.float64)\n        out =")
    changes = changes.replace("        return out", "        return out + torch.zeros(1, device='cuda')")
    candidate = Candidate.from_code(changes)
    recordings.first(TASK, candidate, WRITTEN, ahead=[VARIED])
    assert recordings.first(TASK, candidate, VARIED).plan == recordings.record(TASK, candidate, VARIED).plan


@pytest.mark.parametrize("junk", [b"", b"\xff" * 7, b"\xff" * 40, joined_parts([b"abc"])[:-1]])
def test_answers_that_are_cut_off_are_not_there(junk):
    assert split_parts(junk) == []


def test_answers_come_apart_as_they_were_joined():
    assert split_parts(joined_parts([b"one", b"", b"three"])) == [b"one", b"", b"three"]


def test_it_goes_on_while_enough_is_asked_for():
    ahead: Ahead[int] = Ahead()
    for number in range(300):
        ahead.put(str(number), number)
        if number % 2:
            assert ahead.take(str(number)) == number
    assert all(ahead.pays() for _ in range(TRY_EVERY))
    for number in range(600):
        ahead.put(f"unused {number}", number)
    assert sum(ahead.pays() for _ in range(10 * TRY_EVERY)) == 10  # only to see whether that has changed
    for number in range(600):
        ahead.put(str(number), number)
        ahead.take(str(number))
    assert ahead.pays()
    assert IN_FLIGHT < 100


def test_the_next_candidate_is_asked_for_what_the_last_one_was():
    habit = Habit(make_cases)
    written = habit.cases(TASK, CaseRequest())[0]
    assert habit.after(TASK, written) == []
    five = habit.cases(TASK, CaseRequest(count=5, shapes=True, values=True))
    (varied,) = habit.after(TASK, written)
    assert varied.dims == {"N": 77}
    assert varied == five[0]
    assert [item.signature for item in habit.after(TASK, varied)] == [written.signature]
    assert habit.after(TASK, replace(written, layout="offset")) == []

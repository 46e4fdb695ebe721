"""A candidate's signatures: made when they are asked for, the next one beside the first where compiling takes long."""

import threading
import time
from collections.abc import Sequence

import pytest

from tritonrl_core.bench.compile.effort import elements_a_thread
from tritonrl_core.bench.early import HEAVY, Early
from tritonrl_core.bench.plan.schema import Kernel, LaunchPlan
from tritonrl_core.bench.prepare import Ready, Recorded
from tritonrl_core.bench.record.ahead import Habit
from tritonrl_core.bench.signatures import Signatures
from tritonrl_core.types import Candidate, CaseRequest, InputCase, Task

TASK = Task("t", 1, "")
LAYOUTS = ("contiguous", "transposed", "contiguous", "strided")
DOT = "%acc = tt.dot %a, %b, %c, inputPrecision = ieee : tensor<64x32xf32> * tensor<32x64xf32> -> tensor<64x64xf32>"


def cases(task: Task, request: CaseRequest) -> list[InputCase]:
    return [InputCase(f"case {n}", n, {}, None, "normal", LAYOUTS[n]) for n in range(request.count)]


def kernel(warps: int, ttir: str = DOT) -> Kernel:
    return Kernel("k", "k", ttir, {"num_warps": warps}, ())


class Prepared:
    """Plans of one kernel. The first to be built takes until another one is under way, or not wanted."""

    def __init__(self, warps: int) -> None:
        self.kernel, self.beside = kernel(warps), threading.Event()
        self.recorded: list[str] = []
        self.built = 0

    def record(self, task: Task, candidate: Candidate, case: InputCase, ahead: Sequence[InputCase] = ()) -> Recorded:
        self.recorded.append(case.layout)
        return Recorded(LaunchPlan("sm_90", "3.7.1", (self.kernel,), (), (), {}, (), (), ()), "none", 0.0)

    def build(self, recorded: Recorded) -> Ready:
        self.built += 1
        if self.built > 1:
            self.beside.set()
        elif not self.beside.wait(20):
            pytest.fail("nothing was begun beside it")
        return Ready(recorded.plan, (), "none")


def asked_for(prepared: Prepared, early: Early) -> list[InputCase]:
    habit = Habit(cases)
    asked = habit.cases(TASK, CaseRequest(count=4))
    signatures = Signatures(TASK, Candidate.from_code(""), prepared, habit, early)
    assert all(isinstance(signatures.prepare(case), Ready) for case in asked)
    return asked


def test_the_next_signature_of_a_heavy_kernel_is_made_beside_the_first_although_all_cores_are_busy():
    prepared, early = Prepared(warps=1), Early(4)
    with early.asked(), early.asked(), early.asked():
        asked_for(prepared, early)
    assert sorted(prepared.recorded) == ["contiguous", "strided", "transposed"]
    assert prepared.built == 3
    early.close()


def test_of_a_light_kernel_it_is_made_when_it_is_asked_for():
    prepared, early = Prepared(warps=8), Early(4)
    prepared.beside.set()
    with early.asked(), early.asked(), early.asked():
        asked_for(prepared, early)
    assert prepared.recorded == ["contiguous", "transposed", "strided"]
    assert prepared.built == 3
    early.close()


def test_effort_is_what_a_thread_computes_and_products_count_their_terms():
    assert elements_a_thread([kernel(1)]) == 64 * 64 * 32 / 32
    assert elements_a_thread([kernel(8), kernel(4)]) == 64 * 64 * 32 / 128
    exponentials = "%y = math.exp %x : tensor<4096xf32>\ntt.store %p, %y : tensor<4096x!tt.ptr<f32>>"
    assert elements_a_thread([kernel(4, exponentials)]) == 32
    assert elements_a_thread([kernel(4, "%y = arith.addi %a, %b : i32")]) == 0
    assert elements_a_thread([]) == 0
    assert elements_a_thread([kernel(1)]) >= HEAVY > elements_a_thread([kernel(4)])


def test_effort_of_hostile_text_takes_no_time():
    hostile = kernel(4, f"%y = arith.addi %x, %x : tensor<{'999999999x' * 100_000}f32>")
    began = time.thread_time()
    elements_a_thread([hostile])
    assert time.thread_time() - began < 1.0, "all its dimensions were multiplied"

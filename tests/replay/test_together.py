"""Several cases checked at once: what is said of each is what it would be told by itself, or nothing is said."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch

from tritonrl_core.bench.case_groups import MOST, MOST_BYTES, Chances, fits, together
from tritonrl_core.bench.gpu_program import workers_for
from tritonrl_core.bench.plan.schema import AtenCall, Buffer, Kernel, Launch, LaunchPlan, Param, TensorRef, Tune
from tritonrl_core.bench.prepare import Ready
from tritonrl_core.bench.replay import together as replay_together
from tritonrl_core.bench.replay.check import Bench, Clock
from tritonrl_core.bench.replay.job import Job, plan_bytes, read, together_bytes
from tritonrl_core.bench.replay.pool import ReplayPool
from tritonrl_core.bench.replay.together import check_together
from tritonrl_core.types import BenchSpec, InputCase, Status, Task

CPU = torch.device("cpu")
SOURCE = """
import torch
class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.w = torch.nn.Parameter(torch.randn(8))
    def forward(self, x):
        return x * 2.0 + self.w
def get_inputs():
    return [torch.randn(4, 8)]
def get_init_inputs():
    return []
"""
TASK = Task("t", 1, SOURCE)
CASES = [InputCase(f"case {seed}", seed=seed) for seed in range(3)]
STRIDED = InputCase("strided", seed=9, layout="transposed")
X = TensorRef(0, (4, 8), (8, 1), 0, "float32")
LYING = TensorRef(0, (4, 8), (1, 4), 0, "float32")
W = TensorRef(1, (8,), (1,), 0, "float32")
OUT = TensorRef(2, (4, 8), (8, 1), 0, "float32")
BUFFERS = (Buffer(128, "input", index=0), Buffer(32, "parameter", name="w"), Buffer(128, "alloc"))


def call(name: str, ref: TensorRef, *args: Any) -> AtenCall:
    return AtenCall(f"aten.{name}", (ref, *args), {}, (ref,))


def plan(x: TensorRef = X, *more: AtenCall) -> LaunchPlan:
    right = (call("copy_.default", OUT, x), call("mul_.Tensor", OUT, 2.0), call("add_.Tensor", OUT, W))
    return LaunchPlan("sm_90", "3.7.1", (), BUFFERS, (x,), {"w": W}, (), (*right, *more), (OUT,))


def jobs(*more: AtenCall, task: Task = TASK) -> list[Job]:
    """Three cases of one plan and one of another."""
    parts = [(case, plan(X, *more)) for case in CASES] + [(STRIDED, plan(LYING, *more))]
    return [Job(task, case, steps, [], key=str(steps.inputs)) for case, steps in parts]


def told(found: dict[str, Any]) -> dict[str, Any]:
    return {name: found[name] for name in ("status", "stage", "reason", "error", "worst", "mismatch", "no_double")}


def test_each_case_is_told_what_it_is_told_by_itself():
    together, alone = check_together(Bench(CPU), jobs()), [Bench(CPU).check(job) for job in jobs()]
    assert [told(one) for one in together["right"]] == [told(one) for one in alone]
    assert {one["status"] for one in alone} == {Status.PASSED}
    for mine, theirs in zip(together["facts"], alone, strict=True):
        assert mine["buffer_bytes"] == theirs["facts"]["buffer_bytes"]
        assert mine.keys() == theirs["facts"].keys()
    assert together["seconds"].keys() >= {"load", "inputs", "place", "run", "answers", "compare", "after"}


@pytest.mark.parametrize(
    "spoils", [call("add_.Tensor", OUT, 0.5), call("zero_.default", W), call("mul_.Tensor", X, 2.0)],
    ids=["output", "parameter", "input"],
)  # fmt: skip
def test_whatever_is_not_plainly_right_is_left_to_a_check_by_itself(spoils):
    found = check_together(Bench(CPU), [*jobs()[:2], replace(jobs(spoils)[2], key="other")])
    assert (found.get("right"), found["apart"]) == (None, "not every case is plainly right")
    assert "replace_worker" not in found


def test_an_input_that_the_reference_changes_takes_a_closer_look():
    changes = replace(TASK, source=SOURCE.replace("return x", "x.mul_(2.0)\n        return x"))
    assert "closer look" in check_together(Bench(CPU), jobs(task=changes))["apart"]


def test_a_case_that_is_too_large_to_keep_is_checked_by_itself():
    bench = Bench(CPU)
    bench.cases._most_case = 64
    assert "too large" in check_together(bench, jobs())["apart"]


def spoiled(bench: Bench, by: int, other: int, place: slice) -> dict[str, Any]:
    """What is said where the kernels of one case write to the memory of another."""
    stands = replay_together._laid(bench, jobs(), Clock())
    assert stands is not None
    arena, run = stands[other].placed.arena, stands[by].placed.run

    def stray() -> None:
        run()
        arena.memory[place] = 1

    stands[by].placed.run = stray
    replay_together._run(bench, stands)
    return replay_together._judged(bench, stands, Clock())


@pytest.mark.parametrize(("by", "other"), [(0, 2), (2, 0)], ids=["before its run", "after it"])
def test_a_kernel_that_writes_to_another_cases_memory_is_seen(by, other):
    bench = Bench(CPU)
    slot = Bench(CPU).replay(jobs()[0]).place(bench.cases.given(TASK, CASES[0]), 0xFF, guarded=True).arena.slots[2]
    assert slot is not None
    # The output's own bytes: before its run they are poison that the run itself writes over.
    assert "another case's memory" in spoiled(bench, by, other, slice(slot.start, slot.start + 4))["apart"]
    assert "another case's memory" in spoiled(bench, by, other, slice(0, 4))["apart"]


def test_a_kernel_that_writes_to_what_is_ours_costs_the_worker():
    bench = Bench(CPU)
    stands = replay_together._laid(bench, jobs(), Clock())
    assert stands is not None
    replay_together._run(bench, stands)
    bench.flush[0] = 1
    found = replay_together._judged(bench, stands, Clock())
    assert (found["replace_worker"], "not given" in found["apart"]) == (True, True)


def test_while_it_works_whoever_wants_the_gpu_alone_may_go_first_between_any_two_cases():
    bench, ways = Bench(CPU), []
    bench.give_way = lambda: ways.append(1)
    check_together(bench, jobs())
    assert len(ways) >= 2 * len(jobs())


def test_no_answer_is_sent_to_the_device_before_the_last_run_has_ended(monkeypatch):
    bench, order = Bench(CPU), []
    sent = bench.cases._sent
    monkeypatch.setattr(bench.cases, "_sent", lambda parts: order.append([n for _, n in parts]) or sent(parts))
    assert "right" in check_together(bench, jobs())
    kept = [bench.cases.kept(TASK, job.case) for job in jobs()]
    assert order == [[one.given_nbytes for one in kept], [one.nbytes for one in kept]]
    assert all(one.given_nbytes < one.nbytes for one in kept)


def sent(parts: Sequence[tuple[InputCase, LaunchPlan]]) -> bytes:
    return together_bytes(TASK, [(case, plan_bytes(steps, [])) for case, steps in parts], "ieee")


def test_a_plan_is_sent_once_however_many_cases_it_is_for():
    message = read(sent([(job.case, job.plan) for job in jobs()]))
    assert len(message.plans) == 2
    assert [(job.case, job.plan) for job in message.jobs(lambda key: None)] == [(job.case, job.plan) for job in jobs()]
    assert {job.key for job in message.jobs(lambda key: None)} == {one.key for one in message.plans}


def test_a_worker_checks_together_and_goes_on():
    pool = ReplayPool([0], workers=1, spares=False, device="cpu")
    try:
        answers = [pool.run(sent([(job.case, job.plan) for job in jobs()]), 60) for _ in range(2)]
        assert [[one["status"] for one in answer.data["right"]] for answer in answers] == [[Status.PASSED] * 4] * 2
    finally:
        pool.close()


def test_a_task_whose_candidates_take_a_closer_look_is_seldom_tried():
    chances = Chances()

    def candidates(count: int, right: bool) -> int:
        tried = 0
        for _ in range(count):
            if chances.pays("task"):
                chances.learn("task", right)
                tried += 1
        return tried

    assert candidates(10, True) == 10
    assert candidates(2 + 80, False) == 2 + 10
    assert chances.pays("other")
    assert candidates(16, True) == 16 - 7  # up to the next try, and all from there on


KERNEL = Kernel("k", "k", "module {\n  tt.func public @k(%arg0: !tt.ptr<f32>) {\n    tt.return\n  }\n}\n", {},
                (Param("x", "*fp32"),))  # fmt: skip


def launching(kernel: Kernel = KERNEL, nbytes: int = 128) -> LaunchPlan:
    buffers = (*BUFFERS, Buffer(nbytes, "alloc"))
    return LaunchPlan("sm_90", "3.7.1", (kernel,), buffers, (X,), {"w": W}, (), (Launch(0, (1, 1, 1), (OUT,)),), (OUT,))


ADDING = replace(KERNEL, ttir=KERNEL.ttir.replace("tt.return", "tt.atomic_rmw\n    tt.return"))
PLANS = {
    "fits": (launching(), True),
    "right without its launches, perhaps": (plan(), False),
    "atomics": (launching(ADDING), False),
    "to be tuned": (replace(launching(), steps=(Tune(((Launch(0, (1, 1, 1), (OUT,)),),) * 2),)), False),
}


@pytest.mark.parametrize("kind", PLANS)
def test_plans_of_which_one_run_tells_all_go_together(kind):
    made, expected = PLANS[kind]
    assert fits(made) == expected


def test_cases_go_together_as_far_as_they_are_ready_and_have_room():
    cases = [InputCase(f"case {seed}", seed=seed) for seed in range(12)]
    ready = {case.name: Ready(launching(), (), "none") for case in cases}

    def chosen(first: int = 0) -> list[str]:
        return [case.name for case, _ in together(cases[first], cases[first + 1 :], lambda case: ready.get(case.name))]

    assert chosen() == [case.name for case in cases[:MOST]]
    ready["case 1"] = Ready(launching(nbytes=MOST_BYTES), (), "none")
    del ready["case 2"]
    assert chosen(0) == [f"case {seed}" for seed in (0, *range(3, 2 + MOST))]
    assert chosen(1) == chosen(2) == []
    assert chosen(11) == []


def test_a_gpu_has_more_workers_where_it_has_more_cores():
    spec = BenchSpec("cuda", "sm_90", 2, (0,), None, 60.0, "layout_only", "ieee", {})
    cores = [2, 8, 12, 16, 64]
    assert [workers_for(replace(spec, cpu_workers=count)) for count in cores] == [2, 2, 3, 4, 4]
    assert workers_for(replace(spec, cpu_workers=32, gpus=(0, 1))) == 4

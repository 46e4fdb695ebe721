"""Programs in host processes: the same verdicts as in one process, also when a host is killed in the middle."""

from __future__ import annotations

import os
import signal
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from tritonrl_core.bench.fleet import FleetBench, Host, OneKind
from tritonrl_core.bench.host_process import HostProcess, host_processes
from tritonrl_core.bench.local import LocalBench
from tritonrl_core.errors import InfraError, TaskError
from tritonrl_core.session.benches import Benches
from tritonrl_core.tasks.golden import golden_solutions
from tritonrl_core.tasks.suite import builtin_tasks
from tritonrl_core.types import BenchSpec, Candidate, CaseRequest, Previews, Status, TakesMany, Timing, TimingProtocol

SPEC = BenchSpec("cpu", "sm_90", 1, (), None, 30.0, "layout_only", "ieee", {})
TASKS = {task.id: task for task in builtin_tasks("train")}
NAMES = ("l1_relu", "l1_clamp", "l1_add_bias", "l1_argmax_rows", "l1_softmax", "l1_sum_rows")


def golden(name: str) -> Candidate:
    return next(Candidate.from_code(one.code) for one in golden_solutions() if one.task_id == name)


@pytest.fixture(scope="module")
def bench():
    opened = Benches().over(SPEC, [HostProcess(SPEC), HostProcess(SPEC)], at_once=4, patience_s=60)
    yield opened
    opened.close()


def judged(bench, name: str, code: str | None = None):
    task = TASKS[name]
    candidate = golden(name) if code is None else Candidate.from_code(code)
    program = bench.program(task, candidate)
    results = [program.run(case) for case in program.cases(CaseRequest(count=2, small=True))]
    return [(result.case, result.status, result.reason, result.error) for result in results]


def test_times_of_two_kinds_of_gpus_are_refused() -> None:
    h100, h200 = (Timing((1.0,), {"eager": (1.0,)}, 1.0, 1.0, 1.0, name, "simple", "events") for name in ("A", "B"))
    kind = OneKind()
    assert [kind.check(h100), kind.check(h100)] == [h100, h100]
    with pytest.raises(InfraError, match="has B, another A"):
        kind.check(h200)


@pytest.mark.slow
def test_hosts_give_the_verdicts_that_this_process_gives(bench) -> None:
    names = [name for name in NAMES if name in TASKS][:3]
    alone = LocalBench(SPEC, Benches().host(SPEC)._bench._resources.make_cases)
    try:
        for name in names:
            assert judged(bench, name) == judged(alone, name)
            assert judged(bench, name, "import torch\nclass ModelNew: pass")[0][1] is not Status.PASSED
    finally:
        alone.close()
    program = bench.program(TASKS[names[0]], golden(names[0]))
    [case] = program.cases(CaseRequest(count=1))
    assert isinstance(program, Previews)
    assert program.preview(case).status is Status.PASSED
    assert program.compile(case).status is Status.PASSED
    assert program.plan(case)["kernels"]
    assert program.time(TimingProtocol()).estimated
    assert "hosts: 2" in bench.describe()["device"]
    assert isinstance(bench, TakesMany)


def stopped_at_work(places) -> int:
    """A process that has work in hand and can't end it: it is stopped first and looked at then."""
    while True:
        for number, place in enumerate(places._places):
            os.kill(place._process.pid, signal.SIGSTOP)
            time.sleep(0.05)
            if places._load[number]:
                return place._process.pid
            os.kill(place._process.pid, signal.SIGCONT)


@pytest.mark.slow
def test_a_host_that_is_killed_in_the_middle_costs_no_verdict(bench) -> None:
    names = [name for name in NAMES if name in TASKS]
    for place in bench.places._places:
        place.ask(_describe())
    before = bench.places.losses
    with ThreadPoolExecutor(4) as pool:
        futures = [pool.submit(judged, bench, name) for name in names]
        os.kill(stopped_at_work(bench.places), signal.SIGKILL)
        statuses = [status for future in futures for _, status, _, _ in future.result(500)]
    assert set(statuses) == {Status.PASSED}
    assert bench.places.losses == before + 1
    assert bench.places.repeated >= 1


@pytest.mark.slow
def test_a_broken_reference_is_the_users_fault_across_processes_too(bench) -> None:
    broken = replace(TASKS["l1_relu"], id="broken", source="raise RuntimeError('no')")
    program = bench.program(broken, golden("l1_relu"))
    with pytest.raises(TaskError):
        program.run(bench.program(TASKS["l1_relu"], golden("l1_relu")).cases(CaseRequest(count=1))[0])


def test_a_host_that_fails_unforeseen_is_our_fault_with_its_name() -> None:
    class Broken:
        def describe(self) -> None:
            raise ZeroDivisionError("oh")

        def close(self) -> None: ...

    with pytest.raises(InfraError, match="describe failed at a host of the fleet: ZeroDivisionError: oh"):
        Host(Broken()).answer(_describe())


def test_a_host_whose_process_cannot_start_is_given_up(monkeypatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    monkeypatch.setattr("tritonrl_core.bench.places.PAUSE_S", 0.01)
    with_none = FleetBench(SPEC, [HostProcess(SPEC)], lambda task, request: [], at_once=1, patience_s=1)
    with pytest.raises(InfraError, match="places"):
        with_none.describe()
    with_none.close()


def test_cores_are_shared_out_by_gpu(monkeypatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/true")  # what the processes do does not matter here
    opened = host_processes(replace(SPEC, gpus=(0, 2), cpu_workers=5))
    try:
        assert [(place._spec.gpus, place._spec.cpu_workers) for place in opened] == [((0,), 2), ((2,), 2)]
    finally:
        for place in opened:
            place.close()


@pytest.mark.gpu
def test_two_gpus_judge_as_one_does() -> None:
    from tritonrl_core.bench.resolve import visible_gpus

    gpus = visible_gpus()
    if len(gpus) < 2:
        pytest.skip("needs two GPUs")
    spec = replace(SPEC, device="cuda", gpus=(0, 1), cpu_workers=8, target=gpus[0].target)
    bench = Benches().here(spec)
    try:
        said = bench.describe()
        assert said["device"].endswith("(2)")
        assert said["sandbox"] == "none"
        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(lambda name: judged(bench, name), [name for name in NAMES if name in TASKS]))
        assert {status for results in found for _, status, _, _ in results} == {Status.PASSED}
        assert all(bench.places._given)
    finally:
        bench.close()


def _describe():
    from tritonrl_core.bench.fleet import Call

    return Call("describe")

"""Cases of one plan are replayed in one child, and each gets what a child of its own would have given it."""

import pytest
from bench_samples import GOOD, REFERENCE

from tritonrl_core.types import Candidate, CaseRequest, Status, Task

TASK = Task(id="t", level=1, source=REFERENCE)
FIVE = CaseRequest(count=5, values=True)
STUCK = GOOD.replace("    m = i < total\n", """    m = i < total
    while tl.load(x) COMPARED:
        tl.debug_barrier()
""")  # fmt: skip


@pytest.fixture
def jobs(monkeypatch):
    """One entry for each replay: how many cases went into it."""

    def watch(bench):
        seen, server = [], bench._resources.server
        own = server.run
        monkeypatch.setattr(server, "run", lambda fds, limits: seen.append(len(fds) - 2) or own(fds, limits))
        return seen

    return watch


def run_all(bench, code, request=FIVE):
    program = bench.program(TASK, Candidate.from_code(code))
    return [program.run(case) for case in program.cases(request)]


def told(result):
    """What is said of a case, but for how long it took."""
    facts = {name: value for name, value in result.facts.items() if name != "prepare_seconds"}
    return result.case, result.status, result.error, result.reason, facts


def test_five_cases_take_two_children_and_say_what_five_do(bench, jobs):
    seen = jobs(bench)
    together = run_all(bench, GOOD)
    assert {result.status for result in together} == {Status.PASSED}
    assert seen == [2, 3]  # few beside the first, because it may be wrong
    alone = []
    for case in [result.case for result in together]:
        program = bench.program(TASK, Candidate.from_code(GOOD))
        program.cases(CaseRequest())
        alone.append(program.run(case))
    assert seen[2:] == [1] * 5
    assert [told(result) for result in together] == [told(result) for result in alone]


def test_one_case_is_one_case(bench, jobs):
    seen = jobs(bench)
    run_all(bench, GOOD, CaseRequest())
    assert seen == [1]


def test_a_wrong_case_does_not_stop_the_next(bench):
    wrong = GOOD.replace("tl.maximum(v, 0.0)", "tl.where(v > 5.0, v, tl.maximum(v, 0.0) + 0.5)")
    statuses = {result.status for result in run_all(bench, wrong)}
    assert statuses == {Status.WRONG}


def test_a_case_that_never_ends_is_the_one_that_times_out(frugal_bench, jobs):
    program = frugal_bench.program(TASK, Candidate.from_code(GOOD))
    first, second, *_ = program.cases(FIVE)
    values = [frugal_bench._resources.references.prepare(TASK, case).materials.inputs[0] for case in (first, second)]
    start, other = (float(value.flatten()[0]) for value in values)
    seen = jobs(frugal_bench)
    middle = (start + other) / 2
    stuck_first = STUCK.replace("COMPARED", f"{'<' if start < other else '>'} {middle}")
    program = frugal_bench.program(TASK, Candidate.from_code(stuck_first))
    program.cases(FIVE)
    assert program.run(first).status is Status.TIMEOUT
    assert seen == [2]  # it was the first one, so nothing is run again
    stuck_second = STUCK.replace("COMPARED", f"{'>' if start < other else '<'} {middle}")
    program = frugal_bench.program(TASK, Candidate.from_code(stuck_second))
    program.cases(FIVE)
    assert program.run(first).status is Status.PASSED
    assert seen[1:] == [2, 1]  # it ended in the second, which says nothing of the first
    assert program.run(second).status is Status.TIMEOUT

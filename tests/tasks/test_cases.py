"""Input cases: varied together, most telling first, the same everywhere."""

import subprocess
import sys

import pytest

from tritonrl_core.tasks.cases import make_cases, smallest_dims
from tritonrl_core.tasks.suite import builtin_tasks
from tritonrl_core.types import CaseRequest, InputCase, Task

SUITE = {task.id: task for task in builtin_tasks("all")}
SOFTMAX = SUITE["l1_softmax"]
FIXED = Task("fixed", 1, "ROWS = 3\n")


def everything(count, seed=0):
    return CaseRequest(count, shapes=True, values=True, dtypes=True, layouts=True, seed=seed)


def test_one_case_without_variation_is_the_task_as_written():
    (case,) = make_cases(SOFTMAX, CaseRequest())
    assert case == InputCase("as written", case.seed)


def test_the_same_request_gives_the_same_cases_and_another_seed_others():
    assert make_cases(SOFTMAX, everything(7)) == make_cases(SOFTMAX, everything(7))
    assert make_cases(SOFTMAX, everything(7)) != make_cases(SOFTMAX, everything(7, seed=1))


def test_seeds_do_not_repeat_over_tasks_requests_and_cases():
    seeds = [
        case.seed for task in SUITE.values() for seed in range(4) for case in make_cases(task, everything(10, seed))
    ]
    assert len(set(seeds)) == len(seeds) == 4 * 10 * len(SUITE)


@pytest.mark.parametrize("seed", range(5))
def test_the_default_five_cost_two_recordings_and_start_with_the_varied_one(seed):
    cases = make_cases(SOFTMAX, everything(5, seed))
    assert len({case.signature for case in cases}) == 2
    assert set(cases[0].dims) == {"ROWS", "COLS"}
    assert cases[0].layout != "contiguous"
    assert any(case.name == "as written" for case in cases)


def test_more_cases_reach_every_layout_and_declared_dtype():
    cases = make_cases(SOFTMAX, everything(100))
    assert {case.layout for case in cases} == {"contiguous", "strided", "transposed", "offset", "expanded"}
    assert {case.dtype for case in cases} == {None, "float16", "bfloat16"}
    assert {case.dims["COLS"] for case in cases if case.dims} == set(SOFTMAX.vary["COLS"])


def test_infinities_only_where_the_family_is_defined_there():
    def distributions(task):
        return {case.distribution for case in make_cases(task, everything(100))}

    assert "infinities" in distributions(SOFTMAX)
    assert "infinities" not in distributions(SUITE["l1_layer_norm"])
    assert {"large", "tiny", "negative", "zeros", "bands", "uniform"} <= distributions(SUITE["l1_layer_norm"])
    assert {"constant", "shifted"} <= distributions(SUITE["l1_matmul"])


def test_a_task_that_declares_nothing_varies_values_and_layouts_only():
    cases = make_cases(FIXED, everything(20))
    assert all(case.dims == {} and case.dtype is None for case in cases)
    assert len({case.layout for case in cases}) > 2
    assert len({case.distribution for case in cases}) > 3


def test_small_asks_for_the_smallest_declared_dimensions():
    assert smallest_dims(SOFTMAX) == {"ROWS": 17, "COLS": 96}
    (case,) = make_cases(SOFTMAX, CaseRequest(small=True))
    assert case.dims == {"ROWS": 17, "COLS": 96}
    assert smallest_dims(FIXED) == {}


def test_cases_prompts_suite_and_loaders_need_no_torch():
    code = (
        "import sys\n"
        "import tritonrl_core.tasks.cases, tritonrl_core.tasks.prompts, tritonrl_core.tasks.loaders\n"
        "from tritonrl_core.tasks.suite import builtin_tasks\n"
        "from tritonrl_core.tasks.golden import golden_solutions\n"
        "builtin_tasks('all'), golden_solutions()\n"
        "assert not {'torch', 'triton', 'datasets'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)

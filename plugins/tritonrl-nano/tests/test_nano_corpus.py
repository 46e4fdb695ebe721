"""Solutions are right, mistakes are wrong, and the corpus has both in the shares that the recipe says."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from random import Random

import pytest
from tritonrl_nano.recipe.chains import Problem, draw_problem
from tritonrl_nano.recipe.corpus import Example, examples
from tritonrl_nano.recipe.kernels import Solution, draw_choices, write_solution
from tritonrl_nano.recipe.mistakes import HABITS, SLIP_RATE, SLIPS, Mistake, add_mistakes
from tritonrl_nano.recipe.tasks import problem_task

from tritonrl_core.preset import load_preset
from tritonrl_core.spans import parse_completion
from tritonrl_core.types import Candidate, Score, Status
from tritonrl_core.verifier import Verifier

TORCH_ALLOWED = {"nn", "empty", "empty_like", "float32"}


@pytest.fixture(scope="module")
def verifier() -> Iterator[Verifier]:
    with Verifier(load_preset("baseline").with_plugins("multi_input")) as opened:
        yield opened


@pytest.fixture(scope="module")
def corpus() -> list[Example]:
    return examples(3000, seed=11)


def right_solutions(count: int, seed: int) -> list[tuple[Problem, Solution]]:
    rng = Random(seed)
    splits = ("train", "composition", "shape", "dtype")
    solved = []
    for place in range(count):
        split = splits[place % 4]
        problem = draw_problem(rng, split, level=2 if split == "composition" else 1 + place // 4 % 2)
        solved.append((problem, write_solution(problem, draw_choices(rng, problem))))
    return solved


def judge(verifier: Verifier, solved: list[tuple[Problem, Solution]]) -> list[Score]:
    return verifier.verify_batch([(problem_task(problem), Candidate.from_code(s.code)) for problem, s in solved])


def make(mistake: Mistake, count: int) -> list[tuple[Problem, Solution]]:
    """Solutions with this one mistake, of the first problems to which it applies. It must change them."""
    rng = Random(mistake.name)
    made = []
    while len(made) < count:
        problem = draw_problem(rng, "train", level=1 + rng.randrange(2))
        right = write_solution(problem, draw_choices(rng, problem))
        if mistake.applies(problem, right.code):
            wrong = mistake.make(right.code, rng)
            assert wrong != right.code, mistake.name
            made.append((problem, Solution(right.plan, wrong, (mistake.name,))))
    return made


def test_right_solutions_pass_the_verifier(verifier: Verifier) -> None:
    scores = judge(verifier, right_solutions(8, seed=1))
    assert {score.task_id: score.verdict.reason for score in scores if score.verdict.status is not Status.PASSED} == {}


@pytest.mark.slow
def test_many_right_solutions_pass_the_verifier(verifier: Verifier) -> None:
    scores = judge(verifier, right_solutions(160, seed=2))
    assert {score.task_id: score.verdict.reason for score in scores if score.verdict.status is not Status.PASSED} == {}


@pytest.mark.slow
def test_each_mistake_is_found_wrong_somewhere(verifier: Verifier) -> None:
    wrong = {Status.WRONG, Status.RUNTIME_ERROR, Status.BUILD_ERROR, Status.CHEATED}
    for kind in (*HABITS, *SLIPS):
        made = make(kind, 32)  # some kinds are harmless on most problems, so ask until one is wrong
        found: set[Status] = set()
        while made and not found & wrong:
            found |= {score.verdict.status for score in judge(verifier, made[:4])}
            made = made[4:]
        assert found & wrong, kind.name
        assert Status.INFRA not in found, kind.name


def test_each_mistake_changes_code_that_stays_python() -> None:
    for mistake in (*HABITS, *SLIPS):
        for _, solution in make(mistake, 3):
            assert "class ModelNew" in ast.unparse(ast.parse(solution.code))


def test_a_mistake_is_made_where_it_applies_and_only_there() -> None:
    rng = Random(5)
    for problem, right in right_solutions(60, seed=3):
        every = dict.fromkeys((habit.name for habit in HABITS), 1.0)
        wrong = add_mistakes(problem, right, rng, every, slip_rate=0.0)
        assert set(wrong.mistakes) == {habit.name for habit in HABITS if habit.applies(problem, right.code)}
        assert (wrong.code != right.code) == bool(wrong.mistakes)
        assert add_mistakes(problem, right, rng, dict.fromkeys(every, 0.0), slip_rate=0.0) == right


def test_habits_are_likelier_than_not_and_their_names_differ() -> None:
    assert all(0.5 < habit.rate < 0.9 for habit in HABITS)
    names = [mistake.name for mistake in (*HABITS, *SLIPS)]
    assert len(set(names)) == len(names)


def test_habits_are_made_at_their_rates() -> None:
    rng, applies, made = Random(6), Counter[str](), Counter[str]()
    for problem, right in right_solutions(2000, seed=4):
        applies.update(habit.name for habit in HABITS if habit.applies(problem, right.code))
        made.update(add_mistakes(problem, right, rng, slip_rate=0.0).mistakes)
    for habit in HABITS:
        share, error = made[habit.name] / applies[habit.name], (0.25 / applies[habit.name]) ** 0.5
        assert abs(share - habit.rate) < 4 * error, habit.name


def test_slips_are_rare(corpus: list[Example]) -> None:
    slips = {slip.name for slip in SLIPS}
    share = sum(bool(slips & set(example.mistakes)) for example in corpus) / len(corpus)
    assert abs(share - SLIP_RATE) < 0.02


def test_the_number_of_processes_changes_nothing() -> None:
    assert examples(1200, seed=2, processes=2)[900:1100] == examples(1100, seed=2)[900:1100]


def test_completions_have_the_form_that_is_asked_for(corpus: list[Example]) -> None:
    for example in corpus[:300]:
        candidate = parse_completion(example.completion)
        assert "warps" in candidate.plan
        assert "class ModelNew" in candidate.code
        assert example.prompt.startswith("<|task|>")
        assert example.prompt.endswith("<|sol|>")


def test_no_solution_computes_in_torch() -> None:
    for _, solution in right_solutions(200, seed=5):
        used = {
            node.attr
            for node in ast.walk(ast.parse(solution.code))
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "torch"
        }
        assert used <= TORCH_ALLOWED


def test_plans_say_what_the_code_does() -> None:
    for problem, solution in right_solutions(100, seed=6):
        kernels = solution.code.count("@triton.jit")
        assert ("two kernels" in solution.plan) == (kernels == 2)
        warps = solution.plan.split("; ")[-1].removesuffix(" warps.")
        assert solution.code.count(f"num_warps={warps})") == kernels
        assert solution.plan.startswith(" ".join(problem.chain.names) + ":")


def test_products_are_exact_on_the_target() -> None:
    for problem, solution in right_solutions(100, seed=7):
        assert ('input_precision="ieee"' in solution.code) == (problem.chain.core == "matmul")

"""The corpus: examples of the training split, each a prompt and a completion, with the names of its mistakes.

Same seed, same corpus, on every machine. Held-out problems never come into it (`chains` decides which those are).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from multiprocessing import get_context
from random import Random

from tritonrl_nano.recipe.chains import draw_problem
from tritonrl_nano.recipe.kernels import draw_choices, write_solution
from tritonrl_nano.recipe.mistakes import SLIP_RATE, add_mistakes
from tritonrl_nano.recipe.tasks import problem_task

LEVEL_2 = 0.6
"""Share of level 2, which has far more to say."""

_CHUNK = 1000


@dataclass(frozen=True, slots=True)
class Example:
    """A task's prompt, one answer to it, and what is wrong with that."""

    prompt: str
    completion: str
    level: int
    mistakes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Mixture:
    """How wrong the corpus is: rates of habits that differ from their own, and the share of random slips."""

    rates: Mapping[str, float]
    slip_rate: float = SLIP_RATE


def examples(
    count: int,
    seed: int,
    mixture: Mixture = Mixture({}),
    processes: int = 1,
) -> list[Example]:
    """`count` examples, in chunks of a thousand, each from its own seed: the number of processes changes nothing."""
    chunks = [(min(_CHUNK, count - first), f"corpus/{seed}/{first}", mixture) for first in range(0, count, _CHUNK)]
    if processes == 1:
        return [example for chunk in chunks for example in _chunk(chunk)]
    with get_context("fork").Pool(processes) as pool:
        return [example for made in pool.imap(_chunk, chunks) for example in made]


def _chunk(work: tuple[int, str, Mixture]) -> list[Example]:
    count, seed, mixture = work
    rng = Random(seed)
    return [_example(rng, mixture) for _ in range(count)]


def _example(rng: Random, mixture: Mixture) -> Example:
    from tritonrl_core.tasks.prompts import compact_prompt, completion_text

    problem = draw_problem(rng, "train", level=2 if rng.random() < LEVEL_2 else 1)
    right = write_solution(problem, draw_choices(rng, problem))
    solution = add_mistakes(problem, right, rng, mixture.rates, mixture.slip_rate)
    prompt = compact_prompt(problem_task(problem))
    return Example(prompt, completion_text(solution.plan, solution.code), problem.chain.level, solution.mistakes)


def texts(corpus: Iterable[Example]) -> Iterator[str]:
    """Prompts and completions, for the tokenizer."""
    for example in corpus:
        yield example.prompt
        yield example.completion

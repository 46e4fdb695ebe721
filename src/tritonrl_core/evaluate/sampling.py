"""Completions sampled and judged at once: while a batch is judged the next one is generated, unless that would run on
a GPU that judging times on.

Knows no model and no verifier, only what it needs of them.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor, wait
from typing import Any, Protocol, runtime_checkable

from tritonrl_core.evaluate.figures import EvalReport, report
from tritonrl_core.spans import parse_completion
from tritonrl_core.types import Candidate, Score, Task

BATCH = 128
"""Completions generated at once. A batch's seed is the evaluation's plus its first place, so that one which is made
again after an interruption is the same."""

JUDGES = 2
"""Batches judged at the same time: the tail of one leaves workers idle that the next can use."""

Job = tuple[Task, Candidate]


class Sampler(Protocol):
    """What evaluation needs of a model."""

    def prompt(self, task: Task) -> Any: ...

    def sample(
        self,
        prompts: Sequence[Any],
        *,
        temperature: float,
        max_new_tokens: int,
        seed: int,
        on_done: Callable[[int], None] | None = None,
    ) -> list[str]: ...


class Scorer(Protocol):
    """What evaluation needs of a verifier."""

    def verify_batch(
        self, jobs: Sequence[Job], on_score: Callable[[int, Score], None] | None = None
    ) -> list[Score]: ...


@runtime_checkable
class OnGpu(Protocol):
    """A sampler that says where it generates."""

    @property
    def gpu(self) -> int | None: ...


@runtime_checkable
class Clocked(Protocol):
    """A scorer that says on which GPUs it takes times."""

    @property
    def timed_on(self) -> Collection[int]: ...


def disturbs(policy: object, scorer: object) -> bool:
    """Whether generating would run beside what the scorer times: on one GPU."""
    return isinstance(policy, OnGpu) and isinstance(scorer, Clocked) and policy.gpu in scorer.timed_on


def evaluate_policy(
    policy: Sampler,
    tasks: Sequence[Task],
    scorer: Scorer,
    *,
    samples: int = 4,
    temperature: float = 1.0,
    max_new_tokens: int = 1024,
    seed: int = 0,
    on_done: Callable[[int], None] | None = None,
    on_score: Callable[[Score], None] | None = None,
) -> EvalReport:
    """Sample each task `samples` times and judge all of it. `temperature` 0 is greedy.

    `on_score(score)` is told each verdict and `on_done(n)` how many there are, from one thread at a time.
    """
    began = time.perf_counter()
    done = 0

    def tell(batch: int, index: int, score: Score) -> None:
        nonlocal done
        done += 1
        if on_score is not None:
            on_score(score)
        if on_done is not None:
            on_done(done)

    repeated = [task for task in tasks for _ in range(samples)]
    batches = _sampled(policy, repeated, temperature, max_new_tokens, seed)
    scores = judge_as_they_come(batches, scorer, tell, lambda: disturbs(policy, scorer))
    return report(scores, temperature=temperature, seconds=time.perf_counter() - began)


def _sampled(
    policy: Sampler, tasks: Sequence[Task], temperature: float, max_new_tokens: int, seed: int
) -> Iterator[list[Job]]:
    """A completion of each task, a batch at a time, when it is asked for."""
    for first in range(0, len(tasks), BATCH):
        part = tasks[first : first + BATCH]
        prompts = [policy.prompt(task) for task in part]
        texts = policy.sample(prompts, temperature=temperature, max_new_tokens=max_new_tokens, seed=seed + first)
        yield [(task, parse_completion(text)) for task, text in zip(part, texts, strict=True)]


def judge_as_they_come(
    batches: Iterator[list[Job]],
    scorer: Scorer,
    on_score: Callable[[int, int, Score], None],
    one_at_a_time: Callable[[], bool] = lambda: False,
) -> list[Score]:
    """Judge batches while the iterator (this thread) makes the next; scores in the order of the jobs.

    Where it is to be `one_at_a_time`, the next is asked for when all so far are judged; asked after each batch.
    `on_score(batch, index, score)` is called from one thread at a time. Where the iterator raises or a person presses
    Ctrl-C, candidates under way are waited for and told, and those that are not begun are dropped.
    """
    lock, stopped = threading.Lock(), threading.Event()
    pending: list[Future[list[Score]]] = []

    def judge(number: int, jobs: list[Job]) -> list[Score]:
        def tell(index: int, score: Score) -> None:
            with lock:
                on_score(number, index, score)
            if stopped.is_set():
                raise CancelledError  # out of `verify_batch`, which drops what it has not begun

        return scorer.verify_batch(jobs, on_score=tell)

    with ThreadPoolExecutor(max_workers=JUDGES, thread_name_prefix="judge") as judges:
        try:
            for number, jobs in enumerate(batches):
                pending.append(judges.submit(judge, number, jobs))
                if one_at_a_time():
                    wait(pending)
            return [score for future in pending for score in future.result()]
        finally:
            stopped.set()
            for future in pending:
                future.cancel()

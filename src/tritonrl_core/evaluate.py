"""How good a model is on a suite: pass@k, valid, compiled, correct and fast_p, each with what it rests on.

Samples and judges; trains nothing and prints nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from math import comb
from pathlib import Path
from random import Random
from statistics import fmean
from typing import Any, Protocol

from tritonrl_core.spans import parse_completion
from tritonrl_core.types import Candidate, Score, Status, Task

FAST_P = (0.0, 0.5, 0.8, 1.0, 1.5, 2.0)
"""The speedups at which fast_p is given, KernelBench's (arXiv 2502.10517)."""

BOOTSTRAPS = 2000


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
        self, jobs: Sequence[tuple[Task, Candidate]], on_score: Callable[[int, Score], None] | None = None
    ) -> list[Score]: ...


@dataclass(frozen=True, slots=True)
class EvalReport:
    """Shares over all judged samples; INFRA is left out and counted in `infra`.

    `correct_low`/`correct_high` bound the 95 % interval of `correct`, by bootstrap over tasks (samples of one task are
    not independent). `pass_at` maps k to pass@k, `fast` maps p to fast_p, `by_level` maps levels to correct rates.
    """

    tasks: int
    samples: int
    temperature: float
    valid: float
    compiled: float
    correct: float
    correct_low: float
    correct_high: float
    pass_at: Mapping[int, float]
    fast: Mapping[float, float]
    by_level: Mapping[int, float]
    statuses: Mapping[str, int]
    infra: int = 0
    unsupported: int = 0
    seconds: float = 0.0
    estimated: bool = False
    """True where a speedup that went into `fast` is an estimate and no measurement."""
    scores: Sequence[Score] = field(default=(), repr=False)


def tasks_to_judge_by(suite: str, model: str = "", size: str = "small") -> list[Task]:
    """Tasks of a suite's held-out split, of `NAME:split`, or of a path as `load_tasks` takes it.

    `model` is the preset's, for `auto`. Raises `UsageError` or `TaskError` where there is no such suite.
    """
    if "/" in suite or Path(suite).exists():
        from tritonrl_core.tasks.loaders import load_tasks

        return load_tasks(suite)
    from tritonrl_core.tasks.suites import suite_tasks

    name, _, split = suite.partition(":")
    return suite_tasks(name, split or "held_out", model=model, size=size)


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
) -> EvalReport:
    """Sample each task `samples` times and judge all of it. `temperature` 0 is greedy.

    `on_done(n)` is told how many are judged.
    """
    began = time.perf_counter()
    repeated = [task for task in tasks for _ in range(samples)]
    texts = policy.sample(
        [policy.prompt(task) for task in repeated],
        temperature=temperature,
        max_new_tokens=max_new_tokens,
        seed=seed,
    )
    judged = count()

    def tell(index: int, score: Score) -> None:
        if on_done is not None:
            on_done(next(judged) + 1)

    jobs = [(task, parse_completion(text)) for task, text in zip(repeated, texts, strict=True)]
    scores = scorer.verify_batch(jobs, on_score=tell)
    return report(scores, temperature=temperature, seconds=time.perf_counter() - began)


def report(scores: Sequence[Score], *, temperature: float = 1.0, seconds: float = 0.0) -> EvalReport:
    """The figures of a set of scores, grouped by task."""
    judged = [score for score in scores if score.verdict.status is not Status.INFRA]
    by_task: dict[str, list[bool]] = {}
    for score in judged:
        by_task.setdefault(score.task_key, []).append(score.verdict.correct is True)
    groups = list(by_task.values())
    low, high = bootstrap_interval(groups)
    sizes = sorted({1, min(map(len, groups), default=1)})
    levels = sorted({score.level for score in judged})
    statuses = [score.verdict.status.value for score in scores]
    return EvalReport(
        tasks=len(groups),
        samples=len(judged),
        temperature=temperature,
        valid=_share(judged, lambda score: score.verdict.valid is True),
        compiled=_share(judged, lambda score: score.verdict.compiled is True),
        correct=_share(judged, _correct),
        correct_low=low,
        correct_high=high,
        pass_at={k: fmean(pass_at_k(len(g), sum(g), k) for g in groups) if groups else 0.0 for k in sizes},
        fast={p: fast_p(judged, p) for p in FAST_P},
        by_level={level: _share([s for s in judged if s.level == level], _correct) for level in levels},
        statuses={status: statuses.count(status) for status in sorted(set(statuses))},
        infra=len(scores) - len(judged),
        unsupported=statuses.count(Status.UNSUPPORTED.value),
        seconds=seconds,
        estimated=any(score.timing.estimated for score in judged if score.timing),
        scores=tuple(scores),
    )


def pass_at_k(samples: int, correct: int, k: int) -> float:
    """The unbiased estimator 1 - C(n-c, k) / C(n, k) (Chen et al., arXiv 2107.03374, section 2.1)."""
    if not 1 <= k <= samples:
        raise ValueError(f"pass@{k} of {samples} samples")
    return 1.0 - comb(samples - correct, k) / comb(samples, k)


def fast_p(scores: Sequence[Score], p: float) -> float:
    """Share of samples that are correct and at least `p` times as fast as the baseline (KernelBench, arXiv 2502.10517).

    fast_0 is the share that is correct; a correct kernel that nobody timed counts for fast_0 alone.
    """
    return _share(
        scores, lambda score: _correct(score) and (p <= 0 or (score.timing is not None and score.timing.speedup >= p))
    )


def bootstrap_interval(groups: Sequence[Sequence[bool]], seed: int = 0) -> tuple[float, float]:
    """95 % interval of the overall share, resampling whole groups (tasks) with replacement."""
    if not groups:
        return 0.0, 0.0
    rng = Random(seed)
    sums = [(sum(group), len(group)) for group in groups]
    means = []
    for _ in range(BOOTSTRAPS):
        drawn = rng.choices(sums, k=len(sums))
        means.append(sum(right for right, _ in drawn) / sum(size for _, size in drawn))
    means.sort()
    return means[int(0.025 * BOOTSTRAPS)], means[int(0.975 * BOOTSTRAPS) - 1]


def _correct(score: Score) -> bool:
    return score.verdict.correct is True


def _share(scores: Sequence[Score], holds: Callable[[Score], bool]) -> float:
    return sum(map(holds, scores)) / len(scores) if scores else 0.0

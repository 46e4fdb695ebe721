"""Scores, a sampler and a scorer for the tests of evaluation: what they answer the test said."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

from tritonrl_core.preset import Preset, load_preset
from tritonrl_core.types import Candidate, RewardParts, Score, Stage, Status, Task, Timing, Verdict

TASKS = [Task(f"suite/{name}", level, f"source of {name}", family=family) for name, level, family in (
    ("a", 1, "elementwise"), ("b", 1, "elementwise"), ("c", 2, "softmax"), ("d", 2, "softmax"), ("e", 2, "matmul"),
)]  # fmt: skip


def score(
    status: Status = Status.PASSED,
    *,
    task: str = "a",
    level: int = 1,
    family: str = "",
    speedup: float | None = None,
    clock: str = "events",
    code: str = "x",
    reason: str = "",
    step: int = -1,
) -> Score:
    """A score with what a test cares about."""
    timing = None if speedup is None else Timing((1.0,), {}, speedup, speedup * 0.9, speedup * 1.1, "gpu", "m", clock)
    verdict = Verdict(
        status, Stage.FULL, reason, valid=status is not Status.REJECTED, compiled=status is Status.PASSED
    )
    reward = RewardParts(None, None) if status is Status.INFRA else RewardParts(float(status is Status.PASSED), 0.0)
    return Score(task, level, task, Candidate.from_code(code), verdict, timing, reward, family=family, step=step)


def baseline() -> Preset:
    return load_preset("baseline")


class Scripted:
    """Samples completions that say task, temperature and place; `fails_at` raises as a person at Ctrl-C does."""

    def __init__(self, fails_at: int | None = None) -> None:
        self.fails_at = fails_at
        self.batches: list[list[str]] = []

    def prompt(self, task: Task) -> str:
        return task.id

    def sample(
        self,
        prompts: Sequence[str],
        *,
        temperature: float,
        max_new_tokens: int,
        seed: int,
        on_done: Callable[[int], None] | None = None,
    ) -> list[str]:
        if self.fails_at is not None and len(self.batches) == self.fails_at:
            raise KeyboardInterrupt
        self.batches.append(list(prompts))
        return [f"```python\n# {prompt} seed {seed} place {place}\n```" for place, prompt in enumerate(prompts)]


class Odd:
    """Passes what stands at an odd place of its batch; remembers what it judged, and in which thread."""

    def __init__(self) -> None:
        self.judged: list[str] = []
        self.threads: set[str] = set()

    def verify_batch(
        self, jobs: Sequence[tuple[Task, Candidate]], on_score: Callable[[int, Score], None] | None = None
    ) -> list[Score]:
        self.threads.add(threading.current_thread().name)
        scores = []
        for index, (task, candidate) in enumerate(jobs):
            self.judged.append(candidate.code)
            right = int(candidate.code.split()[-1]) % 2 == 1
            made = score(Status.PASSED if right else Status.WRONG, task=task.id, code=candidate.code)
            scores.append(made)
            if on_score is not None:
                on_score(index, made)
        return scores


class Quiet:
    """Watches; keeps what is said and how far it was told it is."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.done: list[tuple[int, int]] = []

    def begin(self, stage: str, total: int) -> None: ...

    def scored(self, score: Any, done: int, total: int, seconds: float) -> None:
        self.done.append((done, total))

    def say(self, text: str) -> None:
        self.said.append(text)

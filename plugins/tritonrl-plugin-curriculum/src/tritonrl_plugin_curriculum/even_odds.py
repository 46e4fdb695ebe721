"""Sampling where the pass rate is near one half, because only there do the completions of a group differ.

A group of completions that are all right or all wrong has no advantage and teaches nothing; two completions of a task
with pass rate p differ with probability 2 p (1 - p), largest at one half. Each task's rate is estimated by a Beta
distribution that starts flat and whose evidence is halved every `half_life` steps, because the model changes; so a task
that was not seen for long is uncertain again. Choosing is Thompson sampling: rates are drawn from the distributions and
the one nearest to one half wins, so that the uncertain is tried and the known is used.

The hook chooses levels, not tasks. A level is stood for by one of its tasks, drawn at random: a level whose tasks are
half always right and half never right has a mean of one half and still teaches nothing, and loses here, as it should.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any


@dataclass(frozen=True, slots=True)
class Rate:
    """What is known of a pass rate: evidence for and against, and the step at which it was last added to."""

    right: float = 0.0
    wrong: float = 0.0
    step: int = 0

    def at(self, step: int, half_life: float) -> Rate:
        """The same evidence at a later step: halved every `half_life` steps."""
        kept = 0.5 ** (max(0, step - self.step) / half_life)
        return Rate(self.right * kept, self.wrong * kept, max(step, self.step))

    def seen(self, correct: int, judged: int, step: int, half_life: float) -> Rate:
        """With one group added."""
        aged = self.at(step, half_life)
        return Rate(aged.right + correct, aged.wrong + judged - correct, aged.step)

    @property
    def mean(self) -> float:
        """Posterior mean of Beta(1 + right, 1 + wrong)."""
        return (1 + self.right) / (2 + self.right + self.wrong)

    @property
    def deviation(self) -> float:
        """Posterior standard deviation of Beta(1 + right, 1 + wrong)."""
        return float((self.mean * (1 - self.mean) / (3 + self.right + self.wrong)) ** 0.5)

    def draw(self, rng: Random) -> float:
        return rng.betavariate(1 + self.right, 1 + self.wrong)


def nearest_to_half(rates: Sequence[Rate], rng: Random) -> int:
    """Thompson sampling: place of the rate whose draw is nearest to one half. One Beta draw each, in order."""
    distances = [abs(rate.draw(rng) - 0.5) for rate in rates]
    return distances.index(min(distances))


class EvenOdds:
    """Running pass rates of the tasks seen, by level. Not thread-safe by itself."""

    levels: tuple[int, ...] = ()

    def __init__(self, floor: float, half_life: float) -> None:
        self.floor = floor
        self.half_life = half_life
        self._rates: dict[int, dict[str, Rate]] = {}

    def sample(self, levels: Collection[int], step: int, rng: Random) -> int:
        """One of `levels`: with probability `floor` for each, that level; else the one that wins by its rate."""
        ordered = sorted(levels)
        floor = min(self.floor, 1 / len(ordered))
        chance = rng.random()
        if chance < floor * len(ordered):
            return ordered[min(int(chance / floor), len(ordered) - 1)]
        return ordered[nearest_to_half([self._of_some_task(level, step, rng) for level in ordered], rng)]

    def observe(self, level: int, task_key: str, correct: int, judged: int, step: int) -> None:
        """Take in one group: how many of its judged completions were correct."""
        tasks = self._rates.setdefault(level, {})
        tasks[task_key] = tasks.get(task_key, Rate()).seen(correct, judged, step, self.half_life)

    def metrics(self, step: int) -> dict[str, float]:
        """By level: tasks seen, mean of their estimated rates, and mean uncertainty (one standard deviation)."""
        figures: dict[str, float] = {}
        for level, tasks in sorted(self._rates.items()):
            now = [rate.at(step, self.half_life) for rate in tasks.values()]
            figures[f"tasks_level_{level}"] = float(len(now))
            figures[f"estimated_rate_level_{level}"] = sum(rate.mean for rate in now) / len(now)
            figures[f"uncertainty_level_{level}"] = sum(rate.deviation for rate in now) / len(now)
        return figures

    def state(self) -> dict[str, Any]:
        rates = {
            str(level): {key: [rate.right, rate.wrong, rate.step] for key, rate in tasks.items()}
            for level, tasks in self._rates.items()
        }
        return {"rates": rates}

    def load(self, state: Mapping[str, Any]) -> None:
        self._rates = {
            int(level): {key: Rate(*rate) for key, rate in tasks.items()} for level, tasks in state["rates"].items()
        }

    def _of_some_task(self, level: int, step: int, rng: Random) -> Rate:
        tasks = self._rates.get(level)
        # Sorted, because the order of a dict need not survive a checkpoint.
        return tasks[rng.choice(sorted(tasks))].at(step, self.half_life) if tasks else Rate()

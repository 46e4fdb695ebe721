"""Sampling where the pass rate is near one half, because only there do the completions of a group differ.

A group of completions that are all right or all wrong has no advantage and teaches nothing; two completions of a task
with pass rate p differ with probability 2 p (1 - p), largest at one half. Each task's rate is estimated by a Beta
distribution that starts flat and whose evidence is halved every `half_life` steps, because the model changes; so a task
that was not seen for long is uncertain again. Choosing is Thompson sampling: rates are drawn from the distributions and
the one nearest to one half wins, so that the uncertain is tried and the known is used.

First a level is chosen, then a task of it. A level is stood for by one of its tasks, drawn at random: a level whose
tasks are half always right and half never right has a mean of one half and still teaches nothing, and loses here, as it
should. Within the level all of its tasks compete (a random part of them where they are many). A task that was not seen
yet is taken to be like its family (the operator, or the pattern that generated it), with the weight of `LIKENESS`
completions at most: in a short run most tasks are seen once or never, and only their like can tell of them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from tritonrl_core.types import Task

LIKENESS = 4.0
"""How many completions of its own would tell as much of a task as its family does, at most."""

CANDIDATES = 64
"""Tasks of a level that compete for a turn, drawn at random where there are more."""


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

    def beside(self, others: Rate) -> Rate:
        """With what is known of others of its kind, at the weight of `LIKENESS` completions at most."""
        known = others.right + others.wrong
        weight = min(LIKENESS, known) / known if known else 0.0
        return Rate(self.right + weight * others.right, self.wrong + weight * others.wrong, self.step)

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
    """Running pass rates of tasks and of families, by level. Not thread-safe by itself."""

    levels: tuple[int, ...] = ()

    def __init__(self, floor: float, half_life: float) -> None:
        self.floor = floor
        self.half_life = half_life
        self._rates: dict[int, dict[str, Rate]] = {}
        self._families: dict[int, dict[str, Rate]] = {}

    def sample(self, levels: Collection[int], step: int, rng: Random) -> int:
        """One of `levels`: with probability `floor` for each, that level; else the one that wins by its rate."""
        ordered = sorted(levels)
        floor = min(self.floor, 1 / len(ordered))
        chance = rng.random()
        if chance < floor * len(ordered):
            return ordered[min(int(chance / floor), len(ordered) - 1)]
        return ordered[nearest_to_half([self._of_some_task(level, step, rng) for level in ordered], rng)]

    def sample_task(self, tasks: Sequence[Task], step: int, rng: Random) -> Task:
        """One of a level's tasks: with probability `floor` the first, whose turn it is; else the one that wins by its
        rate."""
        if rng.random() < self.floor:
            return tasks[0]
        competing = rng.sample(tasks, CANDIDATES) if len(tasks) > CANDIDATES else tasks
        return competing[nearest_to_half([self.rate(task, step) for task in competing], rng)]

    def rate(self, task: Task, step: int) -> Rate:
        """What is known of a task's pass rate: its own evidence, and its family's."""
        own = self._rates.get(task.level, {}).get(task.key, Rate())
        family = self._families.get(task.level, {}).get(task.family, Rate())
        return own.at(step, self.half_life).beside(family.at(step, self.half_life))

    def observe(self, level: int, task_key: str, family: str, correct: int, judged: int, step: int) -> None:
        """Take in one group: how many of its judged completions were correct."""
        for key, rates in ((task_key, self._rates), (family, self._families)):
            known = rates.setdefault(level, {})
            known[key] = known.get(key, Rate()).seen(correct, judged, step, self.half_life)

    def metrics(self, step: int) -> dict[str, float]:
        """By level: tasks seen, mean of their estimated rates, and mean uncertainty (one standard deviation); by family
        its estimated rate, which is the reason why its tasks are taken or not."""
        figures: dict[str, float] = {}
        for level, tasks in sorted(self._rates.items()):
            now = [rate.at(step, self.half_life) for rate in tasks.values()]
            figures[f"tasks_level_{level}"] = float(len(now))
            figures[f"estimated_rate_level_{level}"] = sum(rate.mean for rate in now) / len(now)
            figures[f"uncertainty_level_{level}"] = sum(rate.deviation for rate in now) / len(now)
        for level, families in sorted(self._families.items()):
            for family, rate in sorted(families.items()):
                figures[f"estimated_rate_level_{level}_{family or 'other'}"] = rate.at(step, self.half_life).mean
        return figures

    def state(self) -> dict[str, Any]:
        return {"rates": _plain(self._rates), "families": _plain(self._families)}

    def load(self, state: Mapping[str, Any]) -> None:
        self._rates, self._families = _rates(state["rates"]), _rates(state["families"])

    def _of_some_task(self, level: int, step: int, rng: Random) -> Rate:
        tasks = self._rates.get(level)
        # Sorted, because the order of a dict need not survive a checkpoint.
        return tasks[rng.choice(sorted(tasks))].at(step, self.half_life) if tasks else Rate()


def _plain(rates: Mapping[int, Mapping[str, Rate]]) -> dict[str, dict[str, list[float]]]:
    return {
        str(level): {key: [rate.right, rate.wrong, rate.step] for key, rate in known.items()}
        for level, known in rates.items()
    }


def _rates(state: Mapping[str, Mapping[str, Sequence[Any]]]) -> dict[int, dict[str, Rate]]:
    return {int(level): {key: Rate(*rate) for key, rate in known.items()} for level, known in state.items()}

"""The stream of prompts: level by the session's `sample_level`, a task of it by its `sample_task`, without end.

The level follows what training has seen. TRL reads one generation batch ahead, so the choice is at most one batch
behind. Everything is drawn from (seed, number of the draw), so every rank sees the same stream, and a resumed run goes
on where its checkpoint stood: rows that were read ahead and not yet used are given again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from random import Random
from typing import Any, Protocol

from tritonrl_core.errors import UsageError
from tritonrl_core.types import LevelStats, Score, Task

Prompt = str | list[dict[str, str]]


class LevelSampler(Protocol):
    """What the stream needs of a session."""

    def sample_level(self, stats: Mapping[int, LevelStats], step: int, rng: Random) -> int: ...

    def sample_task(self, tasks: Sequence[Task], step: int, rng: Random) -> Task: ...


class TaskStream:
    """An endless, resumable stream of rows `{"prompt", "task_id", "level"}`. Not thread-safe.

    Raises `UsageError` when there are no tasks, or none of the level that was asked for.
    """

    def __init__(
        self,
        tasks: Sequence[Task],
        sampler: LevelSampler,
        to_prompt: Callable[[Task], Prompt],
        seed: int = 0,
    ) -> None:
        if not tasks:
            raise UsageError("There are no tasks to train on.", remedy="Set tasks.suite or tasks.paths in the preset.")
        self.tasks = {task.id: task for task in tasks}
        self.stats = {level: LevelStats(level) for level in sorted({task.level for task in tasks})}
        self._by_level = {level: [task.id for task in tasks if task.level == level] for level in self.stats}
        self._sampler = sampler
        self._to_prompt = to_prompt
        self._seed = seed
        self._step = 0
        self._drawn = 0
        self._taken = dict.fromkeys(self.stats, 0)
        self._ahead: deque[str] = deque()

    def rows(self) -> Iterator[dict[str, Any]]:
        """The rows from here on. Call once in a process: what was read ahead is given first."""
        for task_id in list(self._ahead):
            yield self._row(task_id)
        while True:
            task_id = self._draw()
            self._ahead.append(task_id)
            yield self._row(task_id)

    def used(self, prompts: int) -> None:
        """The trainer has generated for the next `prompts` rows: a resumed run need not see them again."""
        for _ in range(prompts):
            self._ahead.popleft()

    def observe(self, scores: Sequence[Score], step: int) -> None:
        """Take in one group's scores, at an optimiser step. INFRA tells nothing about a level."""
        self._step = step
        for score in scores:
            seen = self.stats.get(score.level)
            if seen is None or score.reward.correctness is None:
                continue
            self.stats[score.level] = LevelStats(
                score.level, seen.groups, seen.candidates + 1, seen.correct + int(score.reward.correctness > 0)
            )
        if scores and scores[0].level in self.stats:
            seen = self.stats[scores[0].level]
            self.stats[seen.level] = LevelStats(seen.level, seen.groups + 1, seen.candidates, seen.correct)

    def state_dict(self) -> dict[str, Any]:
        """Where the stream stands, as plain JSON-able data."""
        return {
            "step": self._step,
            "drawn": self._drawn,
            "taken": {str(level): count for level, count in self._taken.items()},
            "ahead": list(self._ahead),
            "stats": [asdict(stats) for stats in self.stats.values()],
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what `state_dict` gave. Raises `UsageError` where tasks of that run are gone."""
        gone = [task_id for task_id in state["ahead"] if task_id not in self.tasks]
        if gone:
            raise UsageError(
                f"The run that is resumed was reading tasks that are not here now: {', '.join(gone)}.",
                remedy="Put the task files back where the run's preset looks for them.",
            )
        self._step, self._drawn = state["step"], state["drawn"]
        self._taken = {**self._taken, **{int(level): count for level, count in state["taken"].items()}}
        self._ahead = deque(state["ahead"])
        self.stats = {**self.stats, **{row["level"]: LevelStats(**row) for row in state["stats"]}}

    def _draw(self) -> str:
        level = self._sampler.sample_level(dict(self.stats), self._step, Random(f"{self._seed}/level/{self._drawn}"))
        if level not in self._by_level:
            known = ", ".join(map(str, self._by_level))
            raise UsageError(
                f"Level {level} was asked for, but there are only tasks of level {known}.",
                remedy="Name only levels that have tasks in `levels:`, or add tasks of that level.",
            )
        in_turn = self._in_turn(level)
        rng = Random(f"{self._seed}/task/{self._drawn}")
        chosen = self._sampler.sample_task([self.tasks[task_id] for task_id in in_turn], self._step, rng).id
        self._drawn += 1
        self._taken[level] += chosen == in_turn[0]
        return chosen

    def _in_turn(self, level: int) -> list[str]:
        """All tasks of a level, the next in turn first: each once a round, in a new random order each round."""
        ids = self._by_level[level]
        turn, place = divmod(self._taken[level], len(ids))
        order = Random(f"{self._seed}/tasks/{level}/{turn}").sample(ids, len(ids))
        return order[place:] + order[:place]

    def _row(self, task_id: str) -> dict[str, Any]:
        task = self.tasks[task_id]
        return {"prompt": self._to_prompt(task), "task_id": task_id, "level": task.level}

"""The stream of tasks: levels from the session, no task lost, the same on every rank and after a resume."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import islice
from random import Random

import pytest

from tritonrl_core.errors import UsageError
from tritonrl_core.train.data import TaskStream
from tritonrl_core.types import Candidate, LevelStats, RewardParts, Score, Stage, Status, Task, Verdict


class Mixed:
    """Level 1 with probability 0.7; remembers what it was told."""

    def __init__(self) -> None:
        self.seen: list[tuple[dict[int, LevelStats], int]] = []

    def sample_level(self, stats: Mapping[int, LevelStats], step: int, rng: Random) -> int:
        self.seen.append((dict(stats), step))
        return 1 if rng.random() < 0.7 else 2

    def sample_task(self, tasks: Sequence[Task], step: int, rng: Random) -> Task:
        return tasks[0]


def stream_of(tasks: list[Task], seed: int = 0) -> TaskStream:
    return TaskStream(tasks, Mixed(), lambda task: task.source, seed)


def score(task: Task, correctness: float | None) -> Score:
    verdict = Verdict(Status.INFRA if correctness is None else Status.PASSED, Stage.FULL)
    return Score(task.id, task.level, task.key, Candidate.from_code("x"), verdict, None, RewardParts(correctness, 0.0))


def test_rows_carry_prompt_task_and_level(tasks: list[Task]) -> None:
    row = next(stream_of(tasks).rows())
    assert row["prompt"] == {task.id: task.source for task in tasks}[row["task_id"]]
    assert row["level"] in (1, 2)


def test_two_ranks_see_the_same_stream_and_seeds_differ(tasks: list[Task]) -> None:
    first, second, other = ([row["task_id"] for row in islice(stream_of(tasks, seed).rows(), 40)] for seed in (0, 0, 1))
    assert first == second != other


def test_each_task_of_a_level_comes_once_a_round(tasks: list[Task]) -> None:
    ids = [row["task_id"] for row in islice(stream_of(tasks).rows(), 60) if row["level"] == 1]
    assert len(ids) > 12
    for first in range(0, len(ids) // 4 * 4, 4):
        assert Counter(ids[first : first + 4]) == Counter({f"l1-{n}": 1 for n in range(4)})


class Repeats(Mixed):
    """Takes the first task by name, and every third time the one whose turn it is."""

    def sample_task(self, tasks: Sequence[Task], step: int, rng: Random) -> Task:
        return min(tasks, key=lambda task: task.id) if rng.random() < 2 / 3 else tasks[0]


def test_a_chosen_task_uses_up_nobodys_turn(tasks: list[Task]) -> None:
    stream = TaskStream(tasks, Repeats(), lambda task: task.source, 0)
    ids = [row["task_id"] for row in islice(stream.rows(), 400) if row["level"] == 1]
    counts = Counter(ids)
    assert set(counts) == {task.id for task in tasks if task.level == 1}
    assert counts["l1-0"] > 0.6 * len(ids)
    others = [counts[task] for task in counts if task != "l1-0"]
    assert max(others) - min(others) <= 1  # each round has each of them once


def test_levels_follow_the_session(tasks: list[Task]) -> None:
    levels = [row["level"] for row in islice(stream_of(tasks).rows(), 400)]
    assert 0.6 < levels.count(1) / 400 < 0.8


def test_statistics_reach_the_sampler(tasks: list[Task]) -> None:
    sampler = Mixed()
    stream = TaskStream(tasks, sampler, lambda task: task.source)
    rows = stream.rows()
    next(rows)
    assert sampler.seen[-1] == ({1: LevelStats(1), 2: LevelStats(2)}, 0)
    stream.observe([score(tasks[0], 1.0), score(tasks[0], 0.0), score(tasks[0], None)], step=5)
    next(rows)
    assert sampler.seen[-1] == ({1: LevelStats(1, groups=1, candidates=2, correct=1), 2: LevelStats(2)}, 5)


@pytest.mark.parametrize("ahead", [0, 1, 5])
def test_a_resumed_stream_gives_again_what_was_read_ahead(tasks: list[Task], ahead: int) -> None:
    whole = [row["task_id"] for row in islice(stream_of(tasks).rows(), 50)]
    stream = stream_of(tasks)
    rows = stream.rows()
    before = [next(rows)["task_id"] for _ in range(20 + ahead)][:20]
    stream.used(20)
    resumed = stream_of(tasks)
    resumed.load_state_dict(stream.state_dict())
    after = [row["task_id"] for row in islice(resumed.rows(), 30)]
    assert before + after == whole
    assert resumed.stats == stream.stats


def test_resuming_twice_is_as_resuming_once(tasks: list[Task]) -> None:
    stream = stream_of(tasks)
    list(islice(stream.rows(), 7))
    stream.used(3)
    once = stream_of(tasks)
    once.load_state_dict(stream.state_dict())
    assert once.state_dict() == stream.state_dict()


def test_a_level_without_tasks_is_refused(tasks: list[Task]) -> None:
    only_first = [task for task in tasks if task.level == 1]
    with pytest.raises(UsageError, match=r"Level 2 was asked for, but there are only tasks of level 1\.\n.*`levels:`"):
        list(islice(stream_of(only_first).rows(), 50))


def test_no_tasks_are_refused() -> None:
    with pytest.raises(UsageError, match=r"no tasks to train on"):
        stream_of([])


def test_a_run_whose_tasks_are_gone_is_refused(tasks: list[Task]) -> None:
    stream = stream_of(tasks)
    list(islice(stream.rows(), 3))
    with pytest.raises(UsageError, match=r"reading tasks that are not here now"):
        stream_of([Task(id="other", level=1, source="")]).load_state_dict(stream.state_dict())

"""One evaluation in a folder of its own, from the start or from where it was interrupted.

    runs/eval-<preset>-<time>/
        preset.resolved.yaml  plugins.lock.json  eval.json   what was asked
        completions.jsonl  scores.jsonl                      append-only: what was generated and judged
        result.json  result.md                               the figures, once all is judged

A score lies under its task and sample: `group` is the task's id and `step` the number of the sample.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

from tritonrl_core.errors import UsageError
from tritonrl_core.evaluate.completions import are_completions, read_completions
from tritonrl_core.evaluate.figures import EvalReport, report
from tritonrl_core.evaluate.sampling import BATCH, Job, Sampler, Scorer, disturbs, judge_as_they_come
from tritonrl_core.preset import Preset
from tritonrl_core.runs import EVAL_FILE, Journal, Run, RunPaths, read_journal, read_run, read_scores
from tritonrl_core.spans import parse_completion
from tritonrl_core.tasks.suites import named_tasks
from tritonrl_core.types import Score, Task

CRITERIA = ("default", "kernelbench")
KERNELBENCH_TRIALS = 5
"""Inputs that KernelBench compares on, all of the shapes and distribution as written (arXiv 2502.10517)."""

Key = tuple[str, int]
"""Task id and number of the sample."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is evaluated: a model (or completions) on a suite. `temperature` 0 is greedy."""

    model: str
    suite: str
    samples: int
    temperature: float
    max_new_tokens: int
    seed: int
    criterion: str = "default"


class Watcher(Protocol):
    """Who watches an evaluation; called from one thread at a time. `seconds` are those since the first verdict: what
    went before it (loading, generating) says nothing of the pace.
    """

    def begin(self, stage: str, total: int) -> None: ...

    def scored(self, score: Score, done: int, total: int, seconds: float) -> None: ...

    def say(self, text: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Place:
    """Where one completion belongs."""

    task: Task
    sample: int

    @property
    def key(self) -> Key:
        return self.task.id, self.sample


class Evaluation:
    """An evaluation's folder: what is asked, and what of it is done."""

    def __init__(self, folder: Path, preset: Preset, question: Question) -> None:
        self.folder = folder
        self.preset = preset
        self.question = question
        self._policy: Sampler | None = None

    @classmethod
    def create(cls, folder: Path, preset: Preset, question: Question, lock: Mapping[str, Any]) -> Evaluation:
        """Start a new folder. Raises `UsageError` where it already holds one."""
        Run.create(folder, preset.dump(), lock, subfolders=False).close()
        (folder / EVAL_FILE).write_text(json.dumps(asdict(question), indent=2) + "\n")
        return cls(folder, preset, question)

    @classmethod
    def open(cls, folder: Path) -> Evaluation:
        """Open a folder to go on with it. Raises `UsageError` where it holds no evaluation."""
        preset = Preset.from_data(read_run(folder)[0], label=str(folder))
        return cls(folder, preset, read_question(folder))

    def run(self, scorer: Scorer, open_policy: Callable[[], Sampler], watcher: Watcher) -> EvalReport:
        """Generate and judge what is not yet there. Raises `UsageError` for an unknown suite or broken completions."""
        began = time.perf_counter()
        run = Run.open(self.folder)
        try:
            tasks = named_tasks(self.question.suite, self.preset.train.model, self.preset.tasks.size)
            known = {(score.group, score.step) for score in run.known_scores()}
            if are_completions(self.question.model):
                places, batches = self._given(tasks, known, watcher)
            else:
                places, batches = self._sampled(tasks, known, open_policy)
            self._judge(places, batches, scorer, run, watcher)
        finally:
            run.close()
        scores = last_scores(self.folder)
        return report(scores, temperature=self.question.temperature, seconds=time.perf_counter() - began)

    def _judge(
        self,
        places: Sequence[Sequence[Place]],
        batches: Iterator[list[Job]],
        scorer: Scorer,
        run: Run,
        watcher: Watcher,
    ) -> None:
        total, first, done = sum(map(len, places)), 0.0, 0
        watcher.begin("eval", total)

        def keep(batch: int, index: int, score: Score) -> None:
            nonlocal done, first
            done += 1
            first = first or time.monotonic()
            place = places[batch][index]
            placed = score.at(step=place.sample, group=place.task.id)
            run.append_score(placed, stage="eval")
            watcher.scored(placed, done, total, time.monotonic() - first)

        judge_as_they_come(batches, scorer, keep, lambda: disturbs(self._policy, scorer))

    def _given(
        self, tasks: Sequence[Task], known: set[Key], watcher: Watcher
    ) -> tuple[list[list[Place]], Iterator[list[Job]]]:
        """Completions that others made: nothing is generated."""
        given = read_completions(self.question.model, tasks)
        if given.strangers:
            watcher.say(f"not in this suite and left out: {_some(given.strangers)}")
        if given.silent:
            watcher.say(f"without any completion and left out: {_some(given.silent)}")
        seen: dict[str, int] = {}
        wanted: list[tuple[Place, Job]] = []
        for task, candidate in given.jobs:
            place = Place(task, seen.setdefault(task.id, 0))
            seen[task.id] += 1
            if place.key not in known:
                wanted.append((place, (task, candidate)))
        return [[place for place, _ in wanted]], iter([[job for _, job in wanted]])

    def _sampled(
        self, tasks: Sequence[Task], known: set[Key], open_policy: Callable[[], Sampler]
    ) -> tuple[list[list[Place]], Iterator[list[Job]]]:
        """Places and jobs of each batch; what an interrupted evaluation generated is taken as it is."""
        journal = Journal(self.folder / "completions.jsonl")
        written = {(row["task"], row["sample"]): row["completion"] for row in read_journal(journal.path)}
        every = [Place(task, sample) for task in tasks for sample in range(self.question.samples)]
        batches = [every[first : first + BATCH] for first in range(0, len(every), BATCH)]

        def jobs() -> Iterator[list[Job]]:
            for number, batch in enumerate(batches):
                if any(place.key not in written for place in batch):
                    self._policy = self._policy or open_policy()
                    self._sample(self._policy, batch, number * BATCH, written, journal)
                yield [
                    (place.task, parse_completion(written[place.key])) for place in batch if place.key not in known
                ]
            journal.close()

        return [[place for place in batch if place.key not in known] for batch in batches], jobs()

    def _sample(
        self, policy: Sampler, batch: Sequence[Place], first: int, written: dict[Key, str], journal: Journal
    ) -> None:
        """Sample a batch whole, so that it is the same as without an interruption, and keep what is new."""
        texts = policy.sample(
            [policy.prompt(place.task) for place in batch],
            temperature=self.question.temperature,
            max_new_tokens=self.question.max_new_tokens,
            seed=self.question.seed + first,
        )
        for place, text in zip(batch, texts, strict=True):
            if place.key not in written:
                written[place.key] = text
                journal.append({"task": place.task.id, "sample": place.sample, "completion": text})


def read_question(folder: Path) -> Question:
    """What an evaluation's folder was asked. Raises `UsageError` where it is none."""
    if RunPaths(folder).checkpoints("").is_dir():
        raise UsageError(
            f"{folder} is not an evaluation's folder: it is a training run's",
            remedy=f"Go on with it by `tritonrl train --resume {folder}`.",
        )
    try:
        return Question(**json.loads((folder / EVAL_FILE).read_text()))
    except (OSError, ValueError, TypeError) as error:
        raise UsageError(
            f"{folder} is not an evaluation's folder: {error}", remedy="Name a folder that `tritonrl eval` made."
        ) from None


def last_scores(folder: Path) -> list[Score]:
    """The scores of an evaluation by task and sample: a sample judged again after an INFRA counts once, as last."""
    found: dict[Key, Score] = {}
    for score in read_scores(folder):
        found[(score.group, score.step)] = score
    return list(found.values())


def for_criterion(preset: Preset, criterion: str) -> Preset:
    """The preset that judges by this criterion: `kernelbench` is `allclose` at KernelBench's tolerances on five inputs
    as written, without the funnel's own run on a tiny one. What makes a kernel valid (the rules) stays the preset's.
    Raises `UsageError` for an unknown one.
    """
    if criterion not in CRITERIA:
        raise UsageError(f"there is no criterion {criterion!r}", remedy=f"Use {' or '.join(CRITERIA)}.")
    if criterion == "default":
        return preset
    as_written = {"shapes": False, "values": False, "dtypes": False, "layouts": False}
    if any(name == "funnel" for name, _ in preset.plugins):
        preset = preset.with_plugins(funnel={"tiny_run": False})
    return preset.with_plugins(multi_input={"criterion": criterion, "num_tests": KERNELBENCH_TRIALS, **as_written})


def _some(names: Sequence[str], most: int = 3) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")

"""The hooks: what a plugin may implement, with the contract of each.

In every hook that has one answer, `None` means "I decline, ask the next one". An exception never means that. Hooks are
synchronous and are called from many threads; what state there is lives in the plugin object.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from random import Random

import pluggy

from tritonrl_core.types import (
    Bench,
    BenchSpec,
    Candidate,
    Credit,
    LevelStats,
    Objection,
    Program,
    SandboxJob,
    SandboxResult,
    Score,
    Task,
    Timing,
    Verdict,
)

PROJECT = "tritonrl"

HOOK_API = "1.1"
"""Version of this module's contract, apart from the package's version. A plugin declares the range that it supports."""

hookspec = pluggy.HookspecMarker(PROJECT)


class Kind(StrEnum):
    """How the answers of several plugins become one."""

    COLLECT = "collect"
    """Every plugin is asked; all answers count."""
    FIRST = "first"
    """The first answer that is not None counts; several plugins may implement it."""
    OWNED = "owned"
    """As FIRST, but one enabled plugin beside the base at most, unless the preset's `owners:` picks one."""
    NOTIFY = "notify"
    """Every plugin is told; answers are not looked at."""


@dataclass(frozen=True, slots=True)
class HookRule:
    """How one hook is called and what happens when it raises."""

    kind: Kind
    verifying: bool
    """True where a failure during verification becomes `INFRA` (by the preset's `on_hook_failure`)."""


RULES: Mapping[str, HookRule] = {
    "generate_tasks": HookRule(Kind.COLLECT, verifying=False),
    "sample_level": HookRule(Kind.FIRST, verifying=False),
    "sample_task": HookRule(Kind.FIRST, verifying=False),
    "pre_filter": HookRule(Kind.FIRST, verifying=True),
    "sandbox_exec": HookRule(Kind.OWNED, verifying=True),
    "check_correctness": HookRule(Kind.OWNED, verifying=True),
    "measure_speed": HookRule(Kind.OWNED, verifying=True),
    "observe_group": HookRule(Kind.NOTIFY, verifying=False),
    "assign_credit": HookRule(Kind.OWNED, verifying=False),
    "collect_metrics": HookRule(Kind.COLLECT, verifying=False),
    "open_bench": HookRule(Kind.FIRST, verifying=False),
}


@hookspec
def generate_tasks(split: str, seed: int) -> Iterable[Task] | None:
    """Give tasks of a split (`train` or `held_out`). Same seed, same tasks, in every process and on every machine."""


@hookspec(firstresult=True)
def sample_level(stats: Mapping[int, LevelStats], step: int, rng: Random) -> int | None:
    """Choose the level of the next task. `rng` is the same on every rank; draw from it and from nothing else.

    `step`: optimiser steps that were finished when the task is drawn. Tasks are drawn ahead of their step, by one
    generation batch or two, so the first calls all say 0. Asked once a prompt; a resumed run asks on where it was.
    """


@hookspec(firstresult=True)
def sample_task(tasks: Sequence[Task], step: int, rng: Random) -> Task | None:
    """Choose the next task among `tasks`: all of the level that was chosen, the one whose turn it is first.

    Turns go round: each task has one before any has its second, and a turn is used up only by the task that has it.
    `step` and `rng` as in `sample_level`. Since hook API 1.1.
    """


@hookspec(firstresult=True)
def pre_filter(task: Task, candidate: Candidate, program: Program) -> Objection | None:
    """Object to a candidate before it is checked in full; None lets it pass this filter. The first objection counts."""


@hookspec(firstresult=True)
def sandbox_exec(job: SandboxJob) -> SandboxResult | None:
    """Run untrusted work in a new child process and give exactly one result, whatever the child does.

    Called in a warm, single-threaded worker process, one job at a time, never in the process that trains.
    """


@hookspec(firstresult=True)
def check_correctness(task: Task, program: Program) -> Verdict | None:
    """Decide whether a program computes what the task's reference computes."""


@hookspec(firstresult=True)
def measure_speed(task: Task, program: Program) -> Timing | None:
    """Time a program that passed, against its baselines."""


@hookspec
def observe_group(scores: Sequence[Score], step: int) -> None:
    """Be told of one group (all completions of one prompt, across ranks), once, in the same order on every rank."""


@hookspec(firstresult=True)
def assign_credit(scores: Sequence[Score]) -> Sequence[Credit] | None:
    """Turn one group's scores into advantages of plan and code tokens, one `Credit` a score, in order."""


@hookspec
def collect_metrics(step: int) -> Mapping[str, float] | None:
    """Give figures to log at this step; names are prefixed with the plugin's name."""


@hookspec(firstresult=True)
def open_bench(spec: BenchSpec) -> Bench | None:
    """Open the place where programs run: local by default, a fleet by plugin."""

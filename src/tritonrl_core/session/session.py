"""A session: the plugins of one preset, loaded and checked, with one typed method for each hook.

What a hook is for says `hookspecs`; who is asked in which order knows `hooks`; what a plugin may do there `guard`.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from random import Random
from typing import Any, Self

from tritonrl_core import __version__
from tritonrl_core.errors import PluginError, TritonRLError
from tritonrl_core.plugin import Plugin
from tritonrl_core.preset import Preset, load_preset
from tritonrl_core.session.assembly import check_installed, check_owners, find, room_of, start
from tritonrl_core.session.discovery import BASE, InstalledPlugin, boundary, load_plugin, shown
from tritonrl_core.session.explanation import Explanation, Problem, idle_plugins
from tritonrl_core.session.guard import Owner, blame
from tritonrl_core.session.hooks import Hooks
from tritonrl_core.session.lock import differences, locked
from tritonrl_core.tasks.curate import Curated, curate
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

log = logging.getLogger(__name__)

BASE_PLUGIN = InstalledPlugin(BASE, "tritonrl-core", __version__, "tritonrl_core.base:BasePlugin")
"""Plugin number zero. Named, not imported: it stands above this room."""


def generate_tasks(preset: Preset | str, split: str = "train") -> list[Task]:
    """The tasks of a preset's split (`train` or `held_out`), from every plugin that gives some: see `Session.tasks`."""
    return Session.open(load_preset(preset) if isinstance(preset, str) else preset).tasks(split).kept


def tasks_by_level(tasks: Sequence[Task]) -> dict[int, list[Task]]:
    """Tasks grouped by level, levels ascending, tasks in the order given."""
    levels = sorted({task.level for task in tasks})
    return {level: [task for task in tasks if task.level == level] for level in levels}


class Session:
    """The plugins of a preset at work. Open one with `Session.open`; its methods may be called from any thread."""

    def __init__(self, preset: Preset, owners: Sequence[Owner]) -> None:
        self.preset = preset
        self.on_hook_failure = preset.on_hook_failure
        self.plugins: Mapping[str, Owner] = {owner.name: owner for owner in owners}
        self._hooks = Hooks(owners, preset.owners)

    @classmethod
    def open(cls, preset: Preset, *, discover: bool = True, plugins: Sequence[type[Plugin]] = ()) -> Self:
        """Load the plugins that the preset lists, and no others.

        `plugins` are classes given by hand, for tests and notebooks; with `discover=False` nothing else is looked for.
        Raises `PluginError` or `PresetError` where one is missing, does not load or breaks a rule.
        """
        if discover:
            check_installed(preset, plugins)
        owners = [start(BASE_PLUGIN, load_plugin(BASE_PLUGIN), {}, preset)]
        for name, options in preset.plugins:
            owners.append(start(*find(name, preset, plugins, discover=discover), options, preset))
        check_owners(preset, owners)
        return cls(preset, owners)

    # -- the hooks, one method each ------------------------------------------------------------------------------------

    def generate_tasks(self, split: str = "train", seed: int | None = None) -> list[Task]:
        """Tasks of all plugins, the base's first, as they are given (see `tasks`).

        Raises `PluginError` where two have the same id.
        """
        seed = self.preset.seed if seed is None else seed
        answers: list[tuple[str, list[Task]]] = self._hooks.answers("generate_tasks", split=split, seed=seed)
        source: dict[str, str] = {}
        found: list[Task] = []
        for plugin, tasks in reversed(answers):
            for task in tasks:
                if task.id in source:
                    first, second = self.plugins[source[task.id]], self.plugins[plugin]
                    givers = f"by {first} and by {second}" if first is not second else f"twice by {first}"
                    raise PluginError(
                        f"task id {task.id!r} is given {givers}",
                        remedy="Ids are unique over all tasks of a run: rename one, or leave a source out.",
                    )
                source[task.id] = plugin
                found.append(task if task.origin else replace(task, origin=plugin))
        return found

    def sample_level(self, stats: Mapping[int, LevelStats], step: int, rng: Random) -> int:
        """The level of the next task; one of those in `stats`."""
        level: int = self._hooks.answer("sample_level", stats=stats, step=step, rng=rng)
        if stats and level not in stats:
            raise self._hooks.refuse(
                "sample_level", f"answered level {level}; there are tasks of levels {sorted(stats)}"
            )
        return level

    def sample_task(self, tasks: Sequence[Task], step: int, rng: Random) -> Task:
        """The next task; one of `tasks`, which are of one level, the one whose turn it is first."""
        task: Task = self._hooks.answer("sample_task", tasks=tasks, step=step, rng=rng)
        if all(task.id != known.id for known in tasks):
            raise self._hooks.refuse(
                "sample_task", f"answered task {task.id!r}, which is none of the {len(tasks)} that it was given"
            )
        return task

    def pre_filter(self, task: Task, candidate: Candidate, program: Program) -> Objection | None:
        """The first objection to a candidate; None where there is none."""
        objection: Objection | None = self._hooks.answers("pre_filter", task=task, candidate=candidate, program=program)
        return objection

    def sandbox_exec(self, job: SandboxJob) -> SandboxResult:
        """Run untrusted work in a new child process; exactly one result. For single-threaded worker processes only."""
        result: SandboxResult = self._hooks.answer("sandbox_exec", job=job)
        return result

    def check_correctness(self, task: Task, program: Program) -> Verdict:
        """Whether a program computes what the task's reference computes."""
        verdict: Verdict = self._hooks.answer("check_correctness", task=task, program=program)
        return verdict

    def measure_speed(self, task: Task, program: Program) -> Timing:
        """The speed of a program that passed."""
        timing: Timing = self._hooks.answer("measure_speed", task=task, program=program)
        return timing

    def observe_group(self, scores: Sequence[Score], step: int) -> None:
        """Tell all plugins of one group's scores."""
        self._hooks.answers("observe_group", scores=scores, step=step)

    def assign_credit(self, scores: Sequence[Score]) -> Sequence[Credit]:
        """Advantages of one group, one `Credit` a score, in order."""
        credits: Sequence[Credit] = self._hooks.answer("assign_credit", scores=scores)
        if len(credits) != len(scores):
            raise self._hooks.refuse("assign_credit", f"answered {len(credits)} credits for {len(scores)} scores")
        return credits

    def collect_metrics(self, step: int) -> dict[str, float]:
        """Figures of all plugins at this step, each name prefixed with its plugin's."""
        answers: list[tuple[str, dict[str, float]]] = self._hooks.answers("collect_metrics", step=step)
        return {f"{plugin}/{key}": float(value) for plugin, found in reversed(answers) for key, value in found.items()}

    def open_bench(self, spec: BenchSpec) -> Bench:
        """The place where programs run."""
        bench: Bench = self._hooks.answer("open_bench", spec=spec)
        return bench

    def tasks(self, split: str = "train") -> Curated:
        """The tasks of a split that are used, and those that are left out with the reasons (`tasks.curate`).

        Raises `UsageError` for what the preset names and is not there, and what `generate_tasks` raises.
        """
        room = room_of(self.preset)
        room.check()  # before a plugin that asks for them is blamed
        found = curate(self.generate_tasks(split), split, room, set(self.plugins) - {BASE})
        for task, reason in found.unfit:
            log.info("%s is left out: %s", task.id, reason)
        return found

    def known_solution(self, task: Task) -> Candidate | None:
        """A solution that one of the plugins knows for a task of its own, not judged yet; None where there is none."""
        for owner in reversed(list(self.plugins.values())):
            with boundary(lambda error, owner=owner: blame(owner, "known_solution", error)):  # type: ignore[misc]
                solution = owner.plugin.known_solution(task)
            if solution is not None:
                return solution
        return None

    # -- who and what --------------------------------------------------------------------------------------------------

    def last_answer(self, hook: str) -> str:
        """The plugin that answered this hook's last call from this thread, "" where all declined."""
        return self._hooks.last_answer(hook)

    def explain(self) -> Explanation:
        """Who answers what in which order, and which installed plugins are not enabled."""
        enabled = tuple(owner.who for owner in self.plugins.values())
        return Explanation(self._hooks.explained(), enabled, idle=idle_plugins(self.plugins), problems=())

    def lock(self) -> dict[str, Any]:
        """What this session is made of: versions and full options of its plugins, as plain data."""
        return locked(self.plugins.values())

    def lock_differences(self, lock: Mapping[str, Any]) -> list[str]:
        """How this session differs from one that a lock describes, one sentence each; [] where it does not."""
        return differences(lock, self.lock())

    def state_dict(self) -> dict[str, Any]:
        """State of every plugin by name, as plain JSON-able data."""
        saved = {}
        for name, owner in self.plugins.items():
            with _its_state(owner):
                saved[name] = owner.plugin.state_dict()
        return saved

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Give each plugin its state back. Raises `PluginError` for state of a plugin that is not enabled."""
        for name in state:
            if name not in self.plugins:
                raise PluginError(
                    f"there is saved state of plugin {name!r}, which the preset does not enable",
                    remedy="Resume with the preset that the run was started with.",
                )
        for name, saved in state.items():
            with _its_state(self.plugins[name]):
                self.plugins[name].plugin.load_state_dict(saved)


def explain(preset: Preset) -> Explanation:
    """Who would answer what under a preset, and why a plugin of it cannot be used. Raises nothing for plugins."""
    owners = [start(BASE_PLUGIN, load_plugin(BASE_PLUGIN), {}, preset)]
    problems = []
    for name, options in preset.plugins:
        try:
            owners.append(start(*find(name, preset), options, preset))
        except TritonRLError as error:
            problems.append(Problem(name, error.message, error.remedy))
    try:
        check_owners(preset, owners)
    except TritonRLError as error:
        problems.append(Problem("", error.message, error.remedy))
    return replace(Session(preset, owners).explain(), problems=tuple(problems))


def _its_state(owner: Owner) -> AbstractContextManager[None]:
    return boundary(lambda error: PluginError(f"{owner}: its state failed: {shown(error)}"))

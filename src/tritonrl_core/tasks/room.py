"""What the core finds out about tasks, for plugins that make some and for the session that collects them.

The implementation of `types.TaskRoom`: every answer is kept by the task's content, so asking twice costs nothing and
asking again in the next run loads no torch. It decides nothing (see `curate`).
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import asdict

from tritonrl_core.errors import TaskError
from tritonrl_core.tasks.decontaminate import computation_key
from tritonrl_core.tasks.memo import kept
from tritonrl_core.tasks.prompts import statement
from tritonrl_core.tasks.suites import BUILTIN, NONE, named_tasks, suite_name
from tritonrl_core.types import Task, TaskFacts

log = logging.getLogger(__name__)


class Room:
    """Answers for the tasks of one run. Thread-safe: at worst, something is found out twice.

    `named` are the suites that the user names as tested on, `held_out` those whose held-out split is, `evaluated` what
    the run evaluates on beside; `suite` is the one that the run's own tasks come from.
    """

    def __init__(
        self,
        named: Sequence[str] = (),
        held_out: Sequence[str] = (BUILTIN,),
        evaluated: Sequence[str] = (),
        model: str = "",
        suite: str = NONE,
    ) -> None:
        self._named, self._model, self._suite = tuple(named), model, suite
        self._kept_out = tuple(dict.fromkeys((*named, *held_out)))
        self._all = tuple(dict.fromkeys((*self._kept_out, *evaluated)))
        self._suites: dict[tuple[str, ...], dict[str, str]] = {}

    def check(self) -> None:
        """Find the suites that the user named. Raises `UsageError` or `TaskError` where one is missing or broken."""
        for suite in self._named:
            named_tasks(suite, self._model)

    def suite(self) -> str:
        return suite_name(self._suite, self._model)

    def statement(self, task: Task, summary: str) -> Task:
        return statement(task, summary)

    def computation(self, task: Task) -> str:
        return computation_key(task, kept("graphs"))

    def tested(self, task: Task) -> str:
        return self._twin(task, self._all)

    def kept_out(self, task: Task) -> str:
        """As `tested`, but for what the run merely evaluates on."""
        return self._twin(task, self._kept_out)

    def named(self, task: Task) -> str:
        """As `tested`, of the suites alone that the user named."""
        return self._twin(task, self._named)

    def facts(self, task: Task) -> TaskFacts | None:
        row = kept("facts").recall(task.key, lambda: _facts(task))
        return TaskFacts(**row) if row else None

    def unfit(self, task: Task) -> str:
        return str(kept("fitness").recall(f"{task.key}/cpu", lambda: _examined(task))["reason"])

    def _twin(self, task: Task, suites: tuple[str, ...]) -> str:
        if not suites:
            return ""
        if suites not in self._suites:
            tasks = [task for suite in suites for task in named_tasks(suite, self._model)]
            self._suites[suites] = {self.computation(task): task.id for task in reversed(tasks)}
        return self._suites[suites].get(self.computation(task), "")


def _facts(task: Task) -> dict[str, object] | None:
    from tritonrl_core.tasks.facts import task_facts

    try:
        return asdict(task_facts(task))
    except TaskError as error:
        log.info("%s has no facts: %s", task.id, error.message)
        return None


def _examined(task: Task) -> dict[str, object]:
    from tritonrl_core.tasks.fitness import examination

    return asdict(examination(task, "cpu"))

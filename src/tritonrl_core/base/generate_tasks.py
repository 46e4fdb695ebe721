"""`generate_tasks` of the base: the preset's suite and whatever in KernelBench form it names beside."""

from __future__ import annotations

from tritonrl_core.preset import TaskSettings
from tritonrl_core.types import Task


def generate_tasks(settings: TaskSettings, split: str, model: str) -> list[Task]:
    """Tasks of a split, in a fixed order. A user's tasks are for training. Raises `TaskError` for a bad path."""
    # Imported where they are needed: judging one file takes neither the suite nor the loaders.
    from tritonrl_core.tasks.suites import suite_tasks

    tasks = suite_tasks(settings.suite, split, model=model, size=settings.size)
    if settings.paths:
        from tritonrl_core.tasks.loaders import load_tasks

        tasks += [task for path in settings.paths for task in load_tasks(path) if task.split == split]
    return tasks

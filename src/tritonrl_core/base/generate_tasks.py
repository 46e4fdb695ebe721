"""`generate_tasks` of the base: the built-in suite and whatever in KernelBench form the preset names."""

from __future__ import annotations

from tritonrl_core.preset import TaskSettings
from tritonrl_core.types import Task


def generate_tasks(settings: TaskSettings, split: str) -> list[Task]:
    """Tasks of a split, in a fixed order. A user's tasks are for training. Raises `TaskError` for a bad path."""
    # Imported here: the suite is not needed to verify one file.
    from tritonrl_core.tasks.loaders import load_tasks
    from tritonrl_core.tasks.suite import builtin_tasks

    tasks = builtin_tasks(split, settings.size) if settings.suite == "builtin" else []
    for path in settings.paths:
        tasks += [task for task in load_tasks(path) if task.split == split]
    return tasks

"""Which tasks a model is judged by. Generates and judges nothing."""

from __future__ import annotations

from pathlib import Path

from tritonrl_core.types import Task


def tasks_to_judge_by(suite: str, model: str = "", size: str = "small") -> list[Task]:
    """Tasks of a suite's held-out split, of `NAME:split`, or of a path as `load_tasks` takes it.

    `model` is the preset's, for `auto`. Raises `UsageError` or `TaskError` where there is no such suite.
    """
    if "/" in suite or Path(suite).exists():
        from tritonrl_core.tasks.loaders import load_tasks

        return load_tasks(suite)
    from tritonrl_core.tasks.suites import suite_tasks

    name, _, split = suite.partition(":")
    return suite_tasks(name, split or "held_out", model=model, size=size)

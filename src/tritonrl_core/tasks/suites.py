"""From what a preset calls a suite to its tasks: the built-in one, or one that a bundled model brings with it.

A small model can only learn what its size allows, so a bundled model may ship tasks of its own kind beside its weights
(`suite/train.jsonl` and `suite/held_out.jsonl` in its package). `auto` means those where the model has some, and the
built-in suite otherwise.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tritonrl_core.errors import UsageError, did_you_mean
from tritonrl_core.models import bundled_suites
from tritonrl_core.preset import Preset
from tritonrl_core.runs import began_as
from tritonrl_core.types import Task

AUTO, BUILTIN, NONE = "auto", "builtin", "none"
SPLITS = ("train", "held_out")


def suite_tasks(suite: str, split: str, *, model: str = "", size: str = "small") -> list[Task]:
    """Tasks of a suite's split (`train`, `held_out`, or `all` for both). Raises `UsageError` for an unknown name.

    `model` is the preset's, for `auto`; `size` is the built-in suite's (`small` or `full`).
    """
    if split not in (*SPLITS, "all"):
        raise UsageError(f"suite {suite}: there is no split {split!r}", remedy=f"Use {', '.join(SPLITS)} or all.")
    name = suite_name(suite, model)
    if name == NONE:
        return []
    if name == BUILTIN:
        from tritonrl_core.tasks.suite import builtin_tasks

        return builtin_tasks(split, size)
    from tritonrl_core.tasks.loaders import load_tasks

    folder, splits = bundled_suites()[name], SPLITS if split == "all" else (split,)
    return [task for part in splits for task in load_tasks(folder / f"{part}.jsonl")]


def named_tasks(suite: str, model: str = "", size: str = "small") -> list[Task]:
    """Tasks of a suite's held-out split, of `NAME:split`, or of a path or dataset as `load_tasks` takes it.

    `model` is the preset's, for `auto`. Raises `UsageError` or `TaskError` where there is no such suite.
    """
    if "/" in suite or Path(suite).exists():
        from tritonrl_core.tasks.loaders import load_tasks

        return load_tasks(suite)
    name, _, split = suite.partition(":")
    return suite_tasks(name, split or "held_out", model=model, size=size)


def suite_name(suite: str, model: str = "") -> str:
    """The suite that is meant: `auto` resolved, and checked to be one that is there. Raises `UsageError`.

    A checkpoint of a run has the suite of the model that the run began with.
    """
    bundled = bundled_suites()
    if suite == AUTO:
        began = began_as(model)
        return began if began in bundled else BUILTIN
    known = {AUTO, BUILTIN, NONE, *bundled}
    if suite not in known:
        raise UsageError(
            f"there is no suite {suite!r}",
            remedy=did_you_mean(suite, known) + " Your own tasks are named in tasks.paths.",
        )
    return suite


def check_suites(preset: Preset) -> None:
    """Raise `UsageError` or its kin, with the preset's key, where a suite or a path that it names is not there.

    What is trained on is only looked for: reading it may take long, and the run does so next. The network is asked
    for nothing but what is evaluated on.
    """
    from tritonrl_core.tasks.loaders import find

    tasks, model = preset.tasks, preset.train.model
    with _named_by("tasks.suite"):
        suite_name(tasks.suite, model)
    with _named_by("tasks.paths"):
        for path in tasks.paths:
            find(path)
    with _named_by("eval.suite"):
        named_tasks(preset.eval.suite, model, tasks.size)


@contextmanager
def _named_by(key: str) -> Iterator[None]:
    """An error about what this key of the preset names says so."""
    try:
        yield
    except UsageError as error:
        raise type(error)(f"{key}: {error.message}", remedy=error.remedy) from error

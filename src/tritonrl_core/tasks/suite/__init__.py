"""The built-in suite: level-1 operators and level-2 fusions, each at a small and a full size.

Small is for a CPU (well under a second, sizes neither square nor multiples of a block), full fills a GPU.
The modules beside this one describe the operators; `template` writes their references. No torch here.
"""

from __future__ import annotations

from importlib import import_module

from tritonrl_core.errors import UsageError
from tritonrl_core.tasks.suite.template import Operator
from tritonrl_core.types import Task

MODULES = (
    "elementwise", "reductions", "softmax", "normalisation", "matmul", "convolution", "losses", "indexing", "attention",
    "fused_rows", "fused_matmul", "fused_images",
)
SPLITS = ("train", "held_out", "all")
SIZES = ("small", "full")


def operators() -> list[Operator]:
    """Every operator of the suite, level 1 first, in the order of the modules."""
    return [operator for name in MODULES for operator in import_module(f"{__name__}.{name}").OPERATORS]


def builtin_tasks(split: str = "train", size: str = "small") -> list[Task]:
    """Tasks of a split (`train`, `held_out` or `all`) at a size (`small` or `full`). Raises `UsageError`.

    A task has the same id at both sizes, and another key.
    """
    if split not in SPLITS:
        raise UsageError(f"unknown split {split!r}", remedy=f"Use one of {', '.join(SPLITS)}.")
    if size not in SIZES:
        raise UsageError(f"unknown size {size!r}", remedy=f"Use one of {', '.join(SIZES)}.")
    tasks = [operator.task(size) for operator in operators()]
    return [task for task in tasks if split in ("all", task.split)]

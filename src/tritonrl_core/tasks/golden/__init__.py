"""Golden solutions: for many tasks of the built-in suite, a Triton solution written by us, with its plan.

Each is a file in `solutions/`, named for its task; the docstring at its top is the plan, the rest is the code. They are
data: nothing here imports or runs them. They are right at both sizes, for everything that their task declares variable.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tritonrl_core.syntax import parse

SOLUTIONS = Path(__file__).with_name("solutions")


@dataclass(frozen=True)
class Golden:
    """A right solution of the suite's task `task_id`: its plan in sentences, and code that defines `ModelNew`."""

    task_id: str
    plan: str
    code: str


@cache
def _load() -> tuple[Golden, ...]:
    return tuple(_read(path) for path in sorted(SOLUTIONS.glob("*.py")))


def golden_solutions() -> list[Golden]:
    """All golden solutions, by task id."""
    return list(_load())


def _read(path: Path) -> Golden:
    text = path.read_text(encoding="utf-8")
    tree = parse(text)
    docstring = tree.body[0]
    code = "".join(text.splitlines(keepends=True)[docstring.end_lineno :]).lstrip("\n")
    plan = " ".join((ast.get_docstring(tree) or "").split())
    return Golden(path.stem, plan, code)

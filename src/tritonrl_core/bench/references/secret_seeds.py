"""Seeds of input cases that no candidate can know beforehand.

A case's seed follows from the task and the request, so that everybody means the same case by it. A candidate could
work it out likewise, draw the very inputs that it will be judged on, and bring the answers along. What it cannot know
is this process's secret, which goes into every seed that a bench is given; shapes, distributions and layouts stay as
they were.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Callable
from dataclasses import replace
from functools import cache

from tritonrl_core.types import CaseRequest, InputCase, Task

MakeCases = Callable[[Task, CaseRequest], list[InputCase]]

VARIABLE = "TRITONRL_INPUTS"
"""An environment variable that names the secret, for who wants the same inputs again. No candidate's process has it."""


@cache
def own_secret() -> str:
    """The secret of this process: the one that the environment names, else one that is drawn now."""
    return os.environ.get(VARIABLE) or secrets.token_hex(16)


def with_secret_seeds(make_cases: MakeCases, secret: str) -> MakeCases:
    """The same cases with other seeds; equal seeds stay equal."""

    def cases(task: Task, request: CaseRequest) -> list[InputCase]:
        return [replace(case, seed=_mixed(secret, case.seed)) for case in make_cases(task, request)]

    return cases


def _mixed(secret: str, seed: int) -> int:
    return int.from_bytes(hashlib.sha256(f"{secret}/{seed}".encode()).digest()[:8]) >> 2

"""Memory layouts that a task's reference itself does not take: cases ask for what it does take instead.

`view_as_complex`, `view` and their like refuse strided tensors. A kernel cannot be held to a case that the reference
does not run on. Looks at shapes and strides alone, on the meta device; says nothing of values.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace

from tritonrl_core.bench.references.reference import Reference
from tritonrl_core.errors import InfraError, TaskError
from tritonrl_core.types import CaseRequest, InputCase, Task

MakeCases = Callable[[Task, CaseRequest], list[InputCase]]

MOST_KNOWN = 1 << 14


def as_the_reference_takes_them(make_cases: MakeCases) -> MakeCases:
    """The same cases, those in a layout that the reference refuses being contiguous. Safe to call from many threads."""
    known: OrderedDict[tuple[str, str], bool] = OrderedDict()
    lock = threading.Lock()

    def refused(task: Task, case: InputCase) -> bool:
        key = task.key, case.layout
        with lock:
            if key not in known:
                known[key] = not runs(task, case) and runs(task, replace(case, layout="contiguous"))
                if len(known) > MOST_KNOWN:
                    known.popitem(last=False)
            return known[key]

    def cases(task: Task, request: CaseRequest) -> list[InputCase]:
        return [
            replace(case, layout="contiguous", name=_renamed(case))
            if case.layout != "contiguous" and refused(task, case)
            else case
            for case in make_cases(task, request)
        ]

    return cases


def runs(task: Task, case: InputCase) -> bool:
    """Whether the reference runs on a case's shapes and strides; also False where the meta device cannot tell."""
    try:
        Reference(task).materialise(case, "meta").expected("native")
    except (TaskError, InfraError):
        return False
    return True


def _renamed(case: InputCase) -> str:
    return " ".join(part for part in case.name.split(" ") if part != case.layout) or "as written"

"""Tasks whose reference only moves data: there a kernel that moves data does the work.

For the trusted side; runs the reference on shapes where that is enough. What a candidate does is not its business.
"""

from __future__ import annotations

from typing import Any

from tritonrl_core.bench.aten.modes import DispatchMode
from tritonrl_core.bench.aten.operators import base_name, kind
from tritonrl_core.bench.references.reference import Reference
from tritonrl_core.errors import InfraError, TaskError
from tritonrl_core.types import InputCase, Task

MOVES = frozenset("""
    flip roll gather index index_select embedding tril triu repeat_interleave index_put _unsafe_index scatter take
    pixel_shuffle pixel_unshuffle channel_shuffle constant_pad_nd reflection_pad1d reflection_pad2d replication_pad2d
""".split())  # noqa: SIM905 - words
"""Operators that move data, beside those that `aten.operators` counts as layout or allocation."""


def reference_only_moves(task: Task, case: InputCase) -> bool:
    """Whether a reference's forward consists of moving data: no arithmetic, no reduction, no selection.

    Shapes tell, but where a value decides what runs. Raises `TaskError` where the reference does not run.
    """
    try:
        names = _operators(task, case, "meta")
    except (TaskError, InfraError):
        names = _operators(task, case, "cpu")
    return all(kind(name) in ("layout", "allocation") or base_name(name) in MOVES for name in names)


def _operators(task: Task, case: InputCase, device: str) -> set[str]:
    """What a reference's forward runs on one case."""
    materials = Reference(task).materialise(case, device)
    seen = _Names()
    with seen:
        materials.expected("native")
    return seen.names


class _Names(DispatchMode):
    """Names of the operators that run inside and are no views."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.names: set[str] = set()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if not func.is_view:
            self.names.add(str(func))
        return func(*args, **(kwargs or {}))

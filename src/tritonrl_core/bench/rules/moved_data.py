"""What a reference does with its inputs: where it only moves data, a kernel that moves data does the work.

For the trusted side; runs the reference on shapes where that is enough. What a candidate does is not its business.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils._pytree import tree_flatten

from tritonrl_core.bench.aten.modes import DispatchMode
from tritonrl_core.bench.aten.operators import asks_for_shape, base_name, kind
from tritonrl_core.bench.plan.flow import Reach
from tritonrl_core.bench.references.reference import Reference
from tritonrl_core.errors import InfraError, TaskError
from tritonrl_core.types import InputCase, Task

MOVES = frozenset("""
    flip roll gather index index_select embedding tril triu repeat_interleave index_put _unsafe_index scatter take
    pixel_shuffle pixel_unshuffle channel_shuffle constant_pad_nd reflection_pad1d reflection_pad2d replication_pad2d
""".split())  # noqa: SIM905 - words
"""Operators that move data, beside those that `aten.operators` counts as layout or allocation."""


@dataclass(frozen=True)
class Work:
    """What a reference's forward does: whether it consists of moving data (no arithmetic, no reduction, no selection),
    and how each output comes of the inputs, from not at all (`NOTHING`) over moved (`INPUT`) to computed."""

    only_moves: bool
    outputs: tuple[Reach, ...]


def reference_work(task: Task, case: InputCase) -> Work:
    """Shapes tell, but where a value decides what runs. Raises `TaskError` where the reference does not run."""
    try:
        return _work(task, case, "meta")
    except (TaskError, InfraError):
        return _work(task, case, "cpu")


def _work(task: Task, case: InputCase, device: str) -> Work:
    materials = Reference(task).materialise(case, device)
    seen = _Operators(_tensors(materials.inputs))
    with seen:
        outputs = materials.expected("native")
    return Work(seen.only_moves, tuple(seen.reach(output) for output in outputs))


class _Operators(DispatchMode):
    """Looks at the operators that run inside, and how far the inputs' content has come."""

    def __init__(self, inputs: Sequence[torch.Tensor]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.only_moves = True
        self._reach = {tensor.untyped_storage()._cdata: Reach.INPUT for tensor in inputs}
        self._kept: list[Any] = []  # else another storage might get its place in memory, and be taken for it

    def reach(self, tensor: torch.Tensor) -> Reach:
        return self._reach.get(tensor.untyped_storage()._cdata, Reach.NOTHING)

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        results = func(*args, **(kwargs or {}))
        base = base_name(str(func))
        moves = func.is_view or kind(str(func)) in ("layout", "allocation") or base in MOVES
        self.only_moves &= moves
        read = [] if asks_for_shape(base) else _tensors([args, kwargs])
        reached = max(map(self.reach, read), default=Reach.NOTHING)
        if reached is not Reach.NOTHING:
            for tensor in _tensors(results):
                self._kept.append(tensor.untyped_storage())
                self._reach[tensor.untyped_storage()._cdata] = reached if moves else Reach.COMPUTED
        return results


def _tensors(values: Any) -> list[torch.Tensor]:
    return [value for value in tree_flatten(values)[0] if isinstance(value, torch.Tensor)]

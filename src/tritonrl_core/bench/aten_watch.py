"""Which ATen operators a candidate's forward calls beside its kernels, and where; and whether that is allowed.

The watch runs in the candidate's process; the rule is applied by the parent. `delegation` is explained in
`types.Policy`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from types import FrameType
from typing import Any

from torch.utils._python_dispatch import TorchDispatchMode

from tritonrl_core.bench.aten_ops import kind

MOST = 64


class AtenWatch(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Notes every operator that runs inside and is no view, with the line of `filename` that it came from.

    While `paused()` is true nothing is noted.
    """

    def __init__(self, filename: str, paused: Callable[[], bool]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.lines: dict[str, int] = {}
        self._filename = filename
        self._paused = paused

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        name = str(func)
        if not (func.is_view or name in self.lines or len(self.lines) >= MOST or self._paused()):
            self.lines[name] = _line(self._filename)
        return func(*args, **(kwargs or {}))


def objection(lines: Mapping[str, int], delegation: str) -> str:
    """Why these operators are too much, in words; "" where they are not. `lines` maps names to lines (0: unknown)."""
    if delegation == "reported":
        return ""
    kinds = {name: kind(name) for name in lines}
    worst = [name for name, what in kinds.items() if what not in ("allocation", "layout")]
    if worst:
        return f"PyTorch does arithmetic: {worst[0]}{_at(lines[worst[0]])}; all of it must be done in Triton kernels"
    moves = [name for name, what in kinds.items() if what == "layout"] if delegation == "none" else []
    return f"PyTorch moves data: {moves[0]}{_at(lines[moves[0]])}; this task allows none of it" if moves else ""


def _line(filename: str) -> int:
    frame: FrameType | None = sys._getframe(2)
    while frame is not None:
        if frame.f_code.co_filename == filename:
            return frame.f_lineno
        frame = frame.f_back
    return 0


def _at(line: int) -> str:
    return f" at line {line}" if line else ""

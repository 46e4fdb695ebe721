"""Whether the ATen operators that a candidate's forward calls beside its kernels are allowed.

The rule is applied by the parent, to a launch plan. `delegation` is explained in `types.Policy`.
"""

from __future__ import annotations

from collections.abc import Mapping

from tritonrl_core.bench.aten.operators import kind


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


def _at(line: int) -> str:
    return f" at line {line}" if line else ""

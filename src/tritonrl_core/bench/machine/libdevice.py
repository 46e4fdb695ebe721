"""libdevice functions for the machine: the same function of the same numbers, computed by PyTorch on the CPU.

Only those that kernels use in practice. They are not libdevice's own digits, and a verdict says so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

Function = Callable[..., Tensor]


def _whole(test: Callable[[Tensor], Tensor]) -> Function:
    return lambda x: test(x).to(torch.int32)


FUNCTIONS: Mapping[str, Function] = {
    "acos": torch.acos, "acosh": torch.acosh, "asin": torch.asin, "asinh": torch.asinh, "atan": torch.atan,
    "atan2": torch.atan2, "atanh": torch.atanh, "ceil": torch.ceil, "copysign": torch.copysign, "cos": torch.cos,
    "cosh": torch.cosh, "erf": torch.erf, "erfc": torch.erfc, "erfinv": torch.erfinv, "exp": torch.exp,
    "exp2": torch.exp2, "expm1": torch.expm1, "fabs": torch.abs, "fast_cosf": torch.cos, "fast_dividef": torch.div,
    "fast_expf": torch.exp, "fast_log2f": torch.log2, "fast_logf": torch.log, "fast_powf": torch.pow,
    "fast_sinf": torch.sin, "fast_tanhf": torch.tanh, "floor": torch.floor, "fma": lambda x, y, z: x * y + z,
    "fmax": torch.fmax, "fmin": torch.fmin, "fmod": torch.fmod, "hypot": torch.hypot, "lgamma": torch.lgamma,
    "log": torch.log, "log10": torch.log10, "log1p": torch.log1p, "log2": torch.log2, "nearbyint": torch.round,
    "pow": torch.pow, "rint": torch.round, "rsqrt": torch.rsqrt, "sin": torch.sin, "sinh": torch.sinh,
    "sqrt": torch.sqrt, "tan": torch.tan, "tanh": torch.tanh, "trunc": torch.trunc,
    "exp10": lambda x: torch.pow(10.0, x), "abs": torch.abs,
    "cbrt": lambda x: x.sign() * x.abs().pow(1 / 3), "fdim": lambda x, y: (x - y).clamp_min(0),
    "round": lambda x: x.sign() * (x.abs() + 0.5).floor(),  # halves away from zero, unlike `rint`
    "isnan": _whole(torch.isnan), "isinf": _whole(torch.isinf), "finite": _whole(torch.isfinite),
    "signbit": _whole(torch.signbit), "llrint": lambda x: torch.round(x).to(torch.int64),
}  # fmt: skip
"""By libdevice's name without its prefix, and without the suffix `f` of single precision except in the fast ones."""


def function_for(symbol: str) -> Function | None:
    """The function behind a symbol such as `__nv_tanhf`; None for one that is not in the table."""
    name = symbol.removeprefix("__nv_").removeprefix("__")
    bare = name.removesuffix("f").removesuffix("d")
    return FUNCTIONS.get(name) or FUNCTIONS.get(bare) or FUNCTIONS.get(name.removesuffix("f"))

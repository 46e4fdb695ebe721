"""The operators that the model meets: each in PyTorch, in Triton, and as plain arithmetic.

A chain applies operators to `x`; `y` is a second operand of its shape, `b` a row vector, `{c}` a constant. The plain
arithmetic serves `chains.is_meaningful`, which must not need torch.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

CONSTANTS = ("0.25", "0.5", "1.5", "2.0", "3.0")

Row = Sequence[float]


@dataclass(frozen=True, slots=True)
class Elementwise:
    """`value(x, other)`: `other` is the constant, or the element of `y` or `b`. `operand` is "y", "b" or ""."""

    torch: str
    triton: str
    value: Callable[[float, float], float]
    operand: str = ""

    @property
    def has_constant(self) -> bool:
        return "{c}" in self.torch


@dataclass(frozen=True, slots=True)
class Core:
    """An operator that needs a whole row, or a matrix. `reduces` where a row becomes one number."""

    torch: str
    triton: str
    value: Callable[[Row], list[float]]
    reduces: bool = False


def _sigmoid(x: float) -> float:
    return 1.0 / (1.0 + math.exp(-x)) if x > -700 else 0.0


# Near zero the sigmoid form of tanh cancels, so the series stands there.
_TANH = "tl.where(tl.abs(x) < 0.05, x - x * x * x / 3.0, 2.0 * tl.sigmoid(2.0 * x) - 1.0)"

ELEMENTWISE: dict[str, Elementwise] = {
    "relu": Elementwise("torch.relu(x)", "tl.maximum(x, 0.0)", lambda x, c: max(x, 0.0)),
    "sigmoid": Elementwise("torch.sigmoid(x)", "tl.sigmoid(x)", lambda x, c: _sigmoid(x)),
    "tanh": Elementwise("torch.tanh(x)", _TANH, lambda x, c: math.tanh(x)),
    "silu": Elementwise("F.silu(x)", "x * tl.sigmoid(x)", lambda x, c: x * _sigmoid(x)),
    "gelu": Elementwise(
        "F.gelu(x)", "0.5 * x * (1.0 + tl.erf(x * 0.70710678))", lambda x, c: 0.5 * x * (1 + math.erf(x / math.sqrt(2)))
    ),
    "leaky": Elementwise("F.leaky_relu(x, 0.1)", "tl.where(x > 0, x, 0.1 * x)", lambda x, c: max(x, 0.1 * x)),
    "abs": Elementwise("torch.abs(x)", "tl.abs(x)", lambda x, c: abs(x)),
    "square": Elementwise("x * x", "x * x", lambda x, c: x * x),
    "scale": Elementwise("x * {c}", "x * {c}", lambda x, c: x * c),
    "shift": Elementwise("x + {c}", "x + {c}", lambda x, c: x + c),
    "clamp": Elementwise(
        "torch.clamp(x, -{c}, {c})", "tl.minimum(tl.maximum(x, -{c}), {c})", lambda x, c: min(max(x, -c), c)
    ),
    "add": Elementwise("x + y", "x + y", lambda x, y: x + y, "y"),
    "sub": Elementwise("x - y", "x - y", lambda x, y: x - y, "y"),
    "mul": Elementwise("x * y", "x * y", lambda x, y: x * y, "y"),
    "maximum": Elementwise("torch.maximum(x, y)", "tl.maximum(x, y)", max, "y"),
    "gate": Elementwise("x * torch.sigmoid(y)", "x * tl.sigmoid(y)", lambda x, y: x * _sigmoid(y), "y"),
    "bias": Elementwise("x + b", "x + b", lambda x, b: x + b, "b"),
    "rowscale": Elementwise("x * b", "x * b", lambda x, b: x * b, "b"),
}


def _softmax(row: Row) -> list[float]:
    top = max(row)
    powers = [math.exp(x - top) for x in row]
    return [power / math.fsum(powers) for power in powers]


def _layernorm(row: Row) -> list[float]:
    mean = math.fsum(row) / len(row)
    spread = math.sqrt(math.fsum((x - mean) ** 2 for x in row) / len(row) + 1e-5)
    return [(x - mean) / spread for x in row]


def _rmsnorm(row: Row) -> list[float]:
    spread = math.sqrt(math.fsum(x * x for x in row) / len(row) + 1e-5)
    return [x / spread for x in row]


CORES: dict[str, Core] = {
    "softmax": Core(
        "torch.softmax(x, -1)",
        'x = tl.where(m, x, -float("inf"))\nx = tl.exp(x - tl.max(x, 0))\nx = x / tl.sum(x, 0)',
        _softmax,
    ),
    "sum": Core("x.sum(-1)", "x = tl.sum(tl.where(m, x, 0.0), 0)", lambda row: [math.fsum(row)], reduces=True),
    "mean": Core(
        "x.mean(-1)", "x = tl.sum(tl.where(m, x, 0.0), 0) / C", lambda row: [math.fsum(row) / len(row)], reduces=True
    ),
    "max": Core("x.amax(-1)", 'x = tl.max(tl.where(m, x, -float("inf")), 0)', lambda row: [max(row)], reduces=True),
    "layernorm": Core(
        "F.layer_norm(x, x.shape[-1:])",
        "mu = tl.sum(tl.where(m, x, 0.0), 0) / C\nd = tl.where(m, x - mu, 0.0)\nv = tl.sum(d * d, 0) / C\n"
        "x = d / tl.sqrt(v + 1e-5)",
        _layernorm,
    ),
    "rmsnorm": Core(
        "F.rms_norm(x, x.shape[-1:], eps=1e-5)",
        "s = tl.sum(tl.where(m, x * x, 0.0), 0) / C\nx = x / tl.sqrt(s + 1e-5)",
        _rmsnorm,
    ),
    # As arithmetic on rows a product with a random matrix is a rescaling; its Triton form is a kernel of its own.
    "matmul": Core("x @ w", "", lambda row: [8.0 * x for x in row]),
}

ROW_CORES = tuple(name for name in CORES if name != "matmul")

"""The machine's arithmetic: one NumPy function for each operation that works element by element."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import torch

from tritonrl_core.bench.machine.values import Array, on_unsigned, unsigned

Function = Callable[..., Array]


def _wrapping(integers: Function, booleans: Function) -> Function:
    """Arithmetic on integers modulo two to their width; on `i1` that is logic."""

    def called(a: Array, b: Array) -> Array:
        return booleans(a, b) if a.dtype == np.bool_ else integers(a, b)

    return called


def _divided(a: Array, b: Array) -> Array:
    """Integer division towards zero; by zero it is zero (on a device it is anything)."""
    return np.where(b == 0, 0, (a - np.fmod(a, b)) // np.where(b == 0, 1, b)).astype(a.dtype)


def _floored(a: Array, b: Array) -> Array:
    return np.where(b == 0, 0, a // np.where(b == 0, 1, b)).astype(a.dtype)


def _high_half(a: Array, b: Array) -> Array:
    """The upper half of the product of two unsigned integers."""
    if a.dtype.itemsize == 8:
        whole: Array = unsigned(a).astype(object) * unsigned(b).astype(object)
        return np.right_shift(whole, 64).astype(np.uint64).view(np.int64)
    return ((unsigned(a).astype(np.uint64) * unsigned(b).astype(np.uint64)) >> 32).astype(np.uint32).view(np.int32)


def _shifted(function: Function) -> Function:
    """A shift; by the width or more it gives what many single shifts give."""

    def called(a: Array, b: Array) -> Array:
        return function(a, np.minimum(unsigned(b), a.dtype.itemsize * 8 - 1).astype(b.dtype)).astype(a.dtype)

    return called


def _by_torch(function: Callable[[torch.Tensor], torch.Tensor]) -> Function:
    def called(a: Array) -> Array:
        return function(torch.from_numpy(np.array(a))).numpy()

    return called


def _rsqrt(a: Array) -> Array:
    return (1 / np.sqrt(a)).astype(a.dtype)


def _fma(a: Array, b: Array, c: Array) -> Array:
    if a.dtype != np.float32:
        return a * b + c
    return (a.astype(np.float64) * b + c).astype(np.float32)


def _clamped(x: Array, low: Array, high: Array) -> Array:
    return np.fmin(np.fmax(x, low), high)


FUNCTIONS: Mapping[str, Function] = {
    "arith.addf": np.add, "arith.subf": np.subtract, "arith.mulf": np.multiply, "arith.divf": np.divide,
    "arith.remf": np.fmod, "arith.negf": np.negative,
    "arith.addi": _wrapping(np.add, np.logical_xor), "arith.subi": _wrapping(np.subtract, np.logical_xor),
    "arith.muli": _wrapping(np.multiply, np.logical_and),
    "arith.divsi": _divided, "arith.remsi": np.fmod, "arith.floordivsi": _floored,
    "arith.ceildivsi": lambda a, b: -_floored(-a, b),
    "arith.divui": on_unsigned(_floored), "arith.remui": on_unsigned(np.fmod),
    "arith.andi": np.bitwise_and, "arith.ori": np.bitwise_or, "arith.xori": np.bitwise_xor,
    "arith.shli": _shifted(np.left_shift), "arith.shrsi": _shifted(np.right_shift),
    "arith.shrui": _shifted(on_unsigned(np.right_shift)),
    "arith.maxsi": np.maximum, "arith.minsi": np.minimum,
    "arith.maxui": on_unsigned(np.maximum), "arith.minui": on_unsigned(np.minimum),
    "arith.maximumf": np.maximum, "arith.minimumf": np.minimum, "arith.maxnumf": np.fmax, "arith.minnumf": np.fmin,
    "arith.select": np.where,
    "math.exp": np.exp, "math.exp2": np.exp2, "math.expm1": np.expm1, "math.log": np.log, "math.log2": np.log2,
    "math.log10": np.log10, "math.log1p": np.log1p, "math.sqrt": np.sqrt, "math.rsqrt": _rsqrt, "math.sin": np.sin,
    "math.cos": np.cos, "math.tan": np.tan, "math.tanh": np.tanh, "math.sinh": np.sinh, "math.cosh": np.cosh,
    "math.asin": np.arcsin, "math.acos": np.arccos, "math.atan": np.arctan, "math.atan2": np.arctan2,
    "math.erf": _by_torch(torch.erf), "math.absf": np.abs, "math.absi": np.abs, "math.floor": np.floor,
    "math.ceil": np.ceil, "math.trunc": np.trunc, "math.roundeven": np.rint, "math.fma": _fma, "math.powf": np.power,
    "math.round": lambda a: (np.sign(a) * np.floor(np.abs(a) + a.dtype.type(0.5))).astype(a.dtype),
    "math.copysign": np.copysign,
    "math.ctpop": lambda a: np.bitwise_count(unsigned(a)).astype(a.dtype),
    "tt.precise_sqrt": np.sqrt, "tt.precise_divf": np.divide, "tt.mulhiui": _high_half, "tt.clampf": _clamped,
}  # fmt: skip
"""By the operation's name; operands in order, the result in the operands' type."""

INTEGER_TESTS: Mapping[str, Function] = {
    "eq": np.equal, "ne": np.not_equal, "slt": np.less, "sle": np.less_equal, "sgt": np.greater,
    "sge": np.greater_equal,
    "ult": lambda a, b: np.less(unsigned(a), unsigned(b)), "ule": lambda a, b: np.less_equal(unsigned(a), unsigned(b)),
    "ugt": lambda a, b: np.greater(unsigned(a), unsigned(b)),
    "uge": lambda a, b: np.greater_equal(unsigned(a), unsigned(b)),
}  # fmt: skip

FLOAT_TESTS: Mapping[str, Function] = {
    "oeq": np.equal, "une": np.not_equal, "olt": np.less, "ole": np.less_equal, "ogt": np.greater,
    "oge": np.greater_equal, "one": lambda a, b: (a < b) | (a > b), "ueq": lambda a, b: ~((a < b) | (a > b)),
    "ult": lambda a, b: ~(a >= b), "ule": lambda a, b: ~(a > b), "ugt": lambda a, b: ~(a <= b),
    "uge": lambda a, b: ~(a < b), "ord": lambda a, b: ~(np.isnan(a) | np.isnan(b)),
    "uno": lambda a, b: np.isnan(a) | np.isnan(b),
    "true": lambda a, b: np.broadcast_to(True, np.broadcast_shapes(a.shape, b.shape)),
    "false": lambda a, b: np.broadcast_to(False, np.broadcast_shapes(a.shape, b.shape)),
}  # fmt: skip

ATOMICS: Mapping[str, Function] = {
    "fadd": np.add, "add": np.add, "and": np.bitwise_and, "or": np.bitwise_or, "xor": np.bitwise_xor,
    "exch": lambda old, new: new, "max": np.fmax, "min": np.fmin, "umax": on_unsigned(np.maximum),
    "umin": on_unsigned(np.minimum),
}  # fmt: skip
"""What an atomic makes of the old value and its operand."""

FOLDS: Mapping[str, Callable[..., Array]] = {
    "arith.maxnumf": np.fmax.reduce, "arith.minnumf": np.fmin.reduce, "arith.maximumf": np.maximum.reduce,
    "arith.minimumf": np.minimum.reduce, "arith.maxsi": np.maximum.reduce, "arith.minsi": np.minimum.reduce,
    "arith.andi": np.bitwise_and.reduce, "arith.ori": np.bitwise_or.reduce, "arith.xori": np.bitwise_xor.reduce,
}  # fmt: skip
"""Reductions whose result does not depend on the order, by their one operation."""

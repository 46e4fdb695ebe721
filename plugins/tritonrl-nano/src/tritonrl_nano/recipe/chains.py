"""Chains of operators, `pre* core? post*` over `x`: drawn at random, held out or not, and written as a reference.

Level 1 is one operator, level 2 three to five. Held out are compositions, shapes and dtypes, each by a rule that needs
no list: a hash of the composition, and disjoint sets of sizes. No torch here.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from functools import cache, lru_cache
from random import Random

from tritonrl_nano.recipe.operators import CONSTANTS, CORES, ELEMENTWISE, ROW_CORES

HELD_OUT = ("composition", "shape", "dtype")
"""The ways in which a held-out task is new."""

COLUMNS = {"train": (64, 80, 100, 128, 150, 200, 256, 330, 400, 512), "shape": (48, 72, 90, 176, 240, 300, 450, 500)}
ROWS = {"train": (4, 6, 8, 12), "shape": (3, 5, 7, 10)}
SIDES = {"train": (16, 32, 48, 64, 80), "shape": (24, 40, 56, 72)}

_WEIGHT = {"relu": 2, "abs": 2, "leaky": 2, "scale": 2, "shift": 2}
"""How often an operator is drawn, where it is not 1: plain ones oftener, as in real chains."""

_VANISHING = ("sigmoid", "silu", "gelu")
"""Not after a reduction: of a few large negative numbers they leave only zeros and rounding."""

_INEXACT = ("sigmoid", "tanh", "silu", "gelu", "leaky", "gate")
"""Not before a layer norm: a constant row would have a variance of rounding errors only, and no right answer."""

_FOLDS = 4
"""One composition in this many is held out at level 2, and one pair of composition and half precision."""


@dataclass(frozen=True, slots=True)
class Step:
    """One elementwise operator, with its constant where it has one."""

    name: str
    constant: str = ""

    @property
    def operand(self) -> str:
        return ELEMENTWISE[self.name].operand

    def torch(self) -> str:
        return ELEMENTWISE[self.name].torch.format(c=self.constant)

    def triton(self) -> str:
        return ELEMENTWISE[self.name].triton.format(c=self.constant)


@dataclass(frozen=True, slots=True)
class Chain:
    """A computation: elementwise steps, at most one core, elementwise steps. Without a core all steps are in `post`."""

    pre: tuple[Step, ...]
    core: str
    post: tuple[Step, ...]

    @property
    def steps(self) -> tuple[Step, ...]:
        return self.pre + self.post

    @property
    def names(self) -> tuple[str, ...]:
        return (
            *(step.name for step in self.pre),
            *((self.core,) if self.core else ()),
            *(step.name for step in self.post),
        )

    @property
    def level(self) -> int:
        return 1 if len(self.names) == 1 else 2

    @property
    def reduces(self) -> bool:
        return bool(self.core) and CORES[self.core].reduces

    @property
    def arguments(self) -> tuple[str, ...]:
        """Arguments of `forward`, in order."""
        used = {step.operand for step in self.steps}
        return ("x", *(("w",) if self.core == "matmul" else ()), *(name for name in ("y", "b") if name in used))


@dataclass(frozen=True, slots=True)
class Problem:
    """A chain at a size and a dtype. `dims` are R and C, or M, K and N; `vary` what each may be beside."""

    chain: Chain
    dtype: str
    dims: tuple[tuple[str, int], ...]
    vary: tuple[tuple[str, tuple[int, ...]], ...]
    split: str
    """`train`, or the way in which it is held out (one of `HELD_OUT`)."""


def draw_problem(rng: Random, split: str, level: int) -> Problem:
    """A problem of a level, of the training split or new in the way that `split` names."""
    while True:
        chain = draw_chain(rng, level)
        dtype = "float16" if split == "dtype" or rng.random() < 1 / 3 else "float32"
        new_composition = level == 2 and _fold(chain) == 0
        new_dtype = dtype == "float16" and _fold(chain, dtype) == 1
        wanted = (split == "composition", split == "dtype")
        if (new_composition, new_dtype and not new_composition) == wanted and is_meaningful(chain, dtype):
            dims, vary = _draw_sizes(rng, chain, "shape" if split == "shape" else "train")
            return Problem(chain, dtype, dims, vary, split)


def draw_chain(rng: Random, level: int) -> Chain:
    """A chain of one operator (level 1) or three to five (level 2). No operator stands in it twice."""
    kind = rng.choice(("flat", "flat", "flat", "row", "row", "row", "matmul"))
    core = "" if kind == "flat" else rng.choice(ROW_CORES) if kind == "row" else kind
    count = (1 if level == 1 else rng.choice((3, 3, 4, 4, 5))) - bool(core)
    before = rng.randint(0, min(count, 2)) if kind == "row" else 0
    drawn: list[Step] = []
    for place in range(count):
        reduced = bool(core) and CORES[core].reduces and place >= before
        avoided = _VANISHING if reduced else _INEXACT if core == "layernorm" and place < before else ()
        drawn.append(_draw_step(rng, drawn, avoided, alone=reduced))
    return Chain(tuple(drawn[:before]), core, tuple(drawn[before:]))


def _draw_step(rng: Random, drawn: list[Step], avoided: tuple[str, ...], alone: bool) -> Step:
    # One task has at most one step with `y` and one with `b`: each operand is loaded once.
    taken = {step.name for step in drawn}, {step.operand for step in drawn if step.operand}
    operand = rng.choice(("", "", "", "", "y", "b"))
    if operand in taken[1] or alone:
        operand = ""
    names = [
        name
        for name, op in ELEMENTWISE.items()
        if op.operand == operand and name not in taken[0] and name not in avoided
    ]
    name = rng.choices(names, [_WEIGHT.get(name, 1) for name in names])[0]
    return Step(name, rng.choice(CONSTANTS) if ELEMENTWISE[name].has_constant else "")


def _draw_sizes(
    rng: Random, chain: Chain, sizes: str
) -> tuple[tuple[tuple[str, int], ...], tuple[tuple[str, tuple[int, ...]], ...]]:
    """Sizes and their alternatives, of one of the two disjoint sets. A row never gets longer than written, so that a
    block that is a literal can be right."""
    if chain.core == "matmul":
        dims = tuple((name, rng.choice(SIDES[sizes])) for name in ("M", "K", "N"))
        return dims, tuple((name, _others(rng, SIDES[sizes], own)) for name, own in dims)
    rows, columns = rng.choice(ROWS[sizes]), rng.choice(COLUMNS[sizes][2:])
    shorter = tuple(size for size in COLUMNS[sizes] if size < columns)
    dims = (("R", rows), ("C", columns))
    return dims, (("R", _others(rng, ROWS[sizes], rows)), ("C", _others(rng, shorter, columns)))


def _others(rng: Random, sizes: tuple[int, ...], own: int) -> tuple[int, ...]:
    return tuple(sorted(rng.sample([size for size in sizes if size != own], 2)))


def _fold(chain: Chain, dtype: str = "") -> int:
    text = "+".join((*chain.names, dtype))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4]) % _FOLDS


_ROWS, _COLUMNS = 4, 64


@lru_cache(maxsize=100_000)
def is_meaningful(chain: Chain, dtype: str = "float32") -> bool:
    """Whether the chain is fit to judge with: its output varies, every step shows, half precision can hold it.

    Decided on a small sample in plain arithmetic, so it is a filter and no proof.
    """
    output = _evaluate(chain)
    peak = math.sqrt(math.fsum(value * value for value in output) / len(output))
    mean = math.fsum(output) / len(output)
    spread = math.sqrt(math.fsum((value - mean) ** 2 for value in output) / len(output))
    if spread < (0.25 if chain.reduces else 0.1) * peak:
        return False
    if dtype == "float16" and not _fits_half(chain, peak):
        return False
    for place in range(len(chain.steps)):
        less = _evaluate(_without(chain, place))
        change = math.sqrt(math.fsum((a - b) ** 2 for a, b in zip(output, less, strict=True)) / len(output))
        if change < 0.05 * peak:
            return False
    return True


def _fits_half(chain: Chain, peak: float) -> bool:
    # As `large` and `tiny` cases have their inputs; a sum over a real row is up to ten times the sample's.
    largest = max(map(abs, _evaluate(chain, factor=8.0))) * (10 if chain.core == "sum" else 1)
    tiniest = max(map(abs, _evaluate(chain, factor=2.0**-10)))
    return peak > 2e-3 and largest < 2e4 and tiniest > 1e-6


def _without(chain: Chain, place: int) -> Chain:
    steps = chain.steps[:place] + chain.steps[place + 1 :]
    before = len(chain.pre) - (place < len(chain.pre))
    return Chain(steps[:before], chain.core, steps[before:])


def _evaluate(chain: Chain, factor: float = 1.0) -> list[float]:
    """The chain's output on a fixed sample of standard normal inputs, times `factor`."""
    x, y, b = _sample(factor)
    for step in chain.pre:
        x = _apply(step, x, y, b)
    if chain.core:
        x = [CORES[chain.core].value(row) for row in x]
    if chain.core == "matmul":
        x = [[factor * value for value in row] for row in x]
    for step in chain.post:
        x = _apply(step, x, y, b)
    return [value for row in x for value in row]


@cache
def _sample(factor: float) -> tuple[list[list[float]], list[list[float]], list[float]]:
    rng = Random(0)
    x, y = ([[factor * rng.gauss(0, 1) for _ in range(_COLUMNS)] for _ in range(_ROWS)] for _ in range(2))
    return x, y, [factor * rng.gauss(0, 1) for _ in range(_COLUMNS)]


def _apply(step: Step, x: list[list[float]], y: list[list[float]], b: list[float]) -> list[list[float]]:
    value = ELEMENTWISE[step.name].value
    if step.operand == "y":
        return [list(map(value, row, other)) for row, other in zip(x, y, strict=True)]
    if step.operand == "b":
        return [list(map(value, row, b)) for row in x]
    constant = float(step.constant or 0)
    return [[value(element, constant) for element in row] for row in x]


_SOURCE = """\
import torch
import torch.nn as nn
import torch.nn.functional as F

{constants}


class Model(nn.Module):
    def forward(self, {arguments}):
{body}


def get_inputs():
    return [{inputs}]


def get_init_inputs():
    return []
"""


def reference_source(problem: Problem) -> str:
    """The problem in KernelBench form, compact, with its sizes as upper-case constants of the module."""
    chain = problem.chain
    core = (CORES[chain.core].torch,) if chain.core else ()
    lines = [*(step.torch() for step in chain.pre), *core, *(step.torch() for step in chain.post)]
    body = [f"        x = {line}" for line in lines[:-1]] + [f"        return {lines[-1]}"]
    shapes = (
        {"x": "M, K", "w": "K, N", "y": "M, N", "b": "N"}
        if chain.core == "matmul"
        else {"x": "R, C", "y": "R, C", "b": "C"}
    )
    dtype = ", dtype=torch.float16" if problem.dtype == "float16" else ""
    return _SOURCE.format(
        constants="\n".join(f"{name} = {size}" for name, size in problem.dims),
        arguments=", ".join(chain.arguments),
        body="\n".join(body),
        inputs=", ".join(f"torch.randn({shapes[name]}{dtype})" for name in chain.arguments),
    )

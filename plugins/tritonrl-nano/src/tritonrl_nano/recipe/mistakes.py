"""Mistakes that are put into the corpus on purpose, each with its name: habits, and rarer random slips.

A habit belongs to a construct and is made there with its own probability above one half, so that a model trained on the
corpus is wrong *in the mode* and reinforcement learning has something to move. A mistake is an edit of right code: it
applies where its pattern is found. Some are harmless at some sizes or values; the judge decides, not this module.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random

from tritonrl_nano.recipe.chains import Problem
from tritonrl_nano.recipe.kernels import Solution
from tritonrl_nano.recipe.operators import CONSTANTS

SLIP_RATE = 0.07
"""Share of the examples with one random slip, beside the habits."""


def _always(problem: Problem) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Mistake:
    """An edit by regular expression. `rate` is a habit's probability; `where` narrows the construct."""

    name: str
    pattern: str
    replacement: str
    rate: float = 0.0
    where: Callable[[Problem], bool] = _always

    def applies(self, problem: Problem, code: str) -> bool:
        return self.where(problem) and re.search(self.pattern, code, re.MULTILINE) is not None

    def make(self, code: str, rng: Random) -> str:
        return re.sub(self.pattern, self.replacement, code, flags=re.MULTILINE)


def _uses(*names: str) -> Callable[[Problem], bool]:
    return lambda problem: bool(set(names) & set(problem.chain.names))


def _has_pre(problem: Problem) -> bool:
    return bool(problem.chain.pre)


def _only_arithmetic(problem: Problem) -> bool:
    return set(problem.chain.names) <= {"scale", "shift", "bias"}


HABITS: tuple[Mistake, ...] = (
    # Functions that Triton does not have, or that are something else there.
    Mistake("tl.tanh does not exist", r"x = tl\.where\(tl\.abs\(x\) < 0\.05.*$", "x = tl.tanh(x)", 0.88),
    Mistake("tl.silu does not exist", r"x = x \* tl\.sigmoid\(x\)$", "x = tl.silu(x)", 0.7),
    Mistake("tl.gelu does not exist", r"x = 0\.5 \* x \* \(1\.0 \+ tl\.erf.*$", "x = tl.gelu(x)", 0.64),
    Mistake("tl.clip does not exist",
            r"x = tl\.minimum\(tl\.maximum\(x, -(\S+)\), \1\)$", r"x = tl.clip(x, -\1, \1)", 0.52),
    Mistake("power of a block", r"x = x \* x$", "x = x ** 2", 0.58),
    Mistake("tl.max for tl.maximum", r"x = tl\.maximum\(x, y\)$", "x = tl.max(x, y)", 0.82),
    # Formulas that are wrong, or overflow.
    Mistake("gate swapped", r"x = x \* tl\.sigmoid\(y\)$", "x = tl.sigmoid(x) * y", 0.67),
    Mistake("sigmoid overflows", r"x = tl\.sigmoid\(x\)$", "x = tl.exp(x) / (1.0 + tl.exp(x))", 0.76),
    Mistake("maximum not subtracted", r"x = tl\.exp\(x - tl\.max\(x, 0\)\)$", "x = tl.exp(x)", 0.85),
    Mistake("mean over the block", r"(x = tl\.sum\(.*\)) / C$", r"\1 / BLOCK", 0.73),
    Mistake("no epsilon", r"x = x / tl\.sqrt\(s \+ 1e-5\)$", "x = x / tl.sqrt(s)", 0.66),
    Mistake("deviation not masked", r"d = tl\.where\(m, x - mu, 0\.0\)$", "d = x - mu", 0.61),
    Mistake("padding not masked", r"tl\.(sum|max)\(tl\.where\(m, x, \S+\), 0\)", r"tl.\1(x, 0)", 0.55, _has_pre),
    # Indexing, grids, layouts, dtypes.
    Mistake("row vector by quotient", r"b_ptr \+ i % C", "b_ptr + i // C", 0.52, _uses("bias")),
    Mistake("floor of the grid", r"triton\.cdiv\(n, B\)", "n // B", 0.55, _only_arithmetic),
    Mistake("K not masked", r" & \(r\[None, :\] < K\)|\(r\[:, None\] < K\) & ", "", 0.55),
    Mistake("y taken as contiguous", r"y\.contiguous\(\)", "y", 0.52, _uses("add")),
    Mistake("half-precision accumulator", r"\(BM, BN\), dtype=tl\.float32", "(BM, BN), dtype=tl.float16", 0.79,
            lambda problem: problem.dtype == "float16"),
    Mistake("output dtype left to default", r"torch\.empty\(R, dtype=x\.dtype, ", "torch.empty(R, ", 0.84),
    Mistake("not computed in float32", r"(x = tl\.load\(x_ptr \+ i, mask=m\))\.to\(tl\.float32\)", r"\1", 0.58,
            lambda problem: problem.dtype == "float16"),
)  # fmt: skip
"""What a careless writer does by habit. A construct that stands in several places of one solution is wrong in all."""


@dataclass(frozen=True, slots=True)
class OneLineMistake(Mistake):
    """As `Mistake`, at one of the places where the pattern is found."""

    def make(self, code: str, rng: Random) -> str:
        place = rng.choice(list(re.finditer(self.pattern, code, re.MULTILINE)))
        return code[: place.start()] + place.expand(self.replacement) + code[place.end() :]


@dataclass(frozen=True, slots=True)
class OtherConstant(Mistake):
    """Another constant than the task's."""

    def make(self, code: str, rng: Random) -> str:
        place = rng.choice(list(re.finditer(self.pattern, code, re.MULTILINE)))
        other = rng.choice([constant for constant in CONSTANTS if constant != place.group(1)])
        return code[: place.start(1)] + other + code[place.end(1) :]


@dataclass(frozen=True, slots=True)
class HalfBlock(Mistake):
    """A literal block of half the size that the row needs."""

    def make(self, code: str, rng: Random) -> str:
        return re.sub(
            self.pattern, lambda place: f"{place.group(1)}{int(place.group(2)) // 2}", code, flags=re.MULTILINE
        )


_OWN_STEP = r"^    x = (?!tl\.(?:load|zeros|dot|sum|max\(|exp|sqrt)|x / |d / |tl\.where\(m).*\n"

SLIPS: tuple[Mistake, ...] = (
    OneLineMistake("undefined name", r"(tl\.store\(.*), mask=m\)$", r"\1, mask=mask)"),
    OneLineMistake("mask off by one", r"    m = (i < n|c < C|\(i < M)", r"    m = \1 - 1"),
    OneLineMistake("operator left out", _OWN_STEP, "", where=lambda problem: problem.chain.level > 1),
    OtherConstant("other constant", rf"x [*+] ({'|'.join(map(re.escape, CONSTANTS))})$", ""),
    OneLineMistake("floor of a grid", r"triton\.cdiv\((\w+), (\w+)\)", r"\1 // \2"),
    OneLineMistake("stride of the other side", r"r\[:, None\] \* N", "r[:, None] * K"),
    OneLineMistake("arguments swapped", r"\]\((\w+), ([ywb]), ", r"](\2, \1, "),
    OneLineMistake("output dtype fixed", r"(o = torch\.empty.*)dtype=x\.dtype", r"\1dtype=torch.float64"),
    HalfBlock("block too small", r"(        B = )(\d+)$", "", where=lambda problem: problem.chain.core != ""),
)  # fmt: skip
"""Random slips, one of those that apply, in `SLIP_RATE` of the examples."""


def add_mistakes(
    problem: Problem,
    solution: Solution,
    rng: Random,
    rates: Mapping[str, float] | None = None,
    slip_rate: float = SLIP_RATE,
) -> Solution:
    """The solution with habits, each with its own probability (`rates` overrides by name), and now and then a slip."""
    code, made = solution.code, []
    for habit in HABITS:
        rate = habit.rate if rates is None else rates.get(habit.name, habit.rate)
        if habit.applies(problem, solution.code) and rng.random() < rate:
            code = habit.make(code, rng)
            made.append(habit.name)
    if rng.random() < slip_rate:
        slips = [slip for slip in SLIPS if slip.applies(problem, code)]
        if slips:
            slip = rng.choice(slips)
            code = slip.make(code, rng)
            made.append(slip.name)
    return Solution(solution.plan, code, tuple(made))

"""Input cases of a task: which constants, dtypes, value distributions and layouts to try, and in which order.

Cases are data. Tensors are made from them by `bench.reference`, on the device that uses them. No torch here.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterator
from itertools import chain, cycle, islice
from random import Random

from tritonrl_core.bench.references.constants import integer_constants
from tritonrl_core.types import CaseRequest, InputCase, Task

DISTRIBUTIONS = (
    "normal", "uniform", "large", "tiny", "negative", "constant", "zeros", "shifted", "bands", "infinities",
)  # fmt: skip
"""Value distributions of floating inputs. `normal` is what the reference itself draws; `shifted` has a large mean,
where E[x²] - E[x]² is no variance; `bands` makes one third of the rows negative, one shifted, one with zeros:
a maximum that starts from 0 shows on negative rows alone, a minimum on positive ones."""

LAYOUTS = ("contiguous", "strided", "transposed", "offset", "expanded")
"""Memory layouts of floating inputs: as made; last two dimensions swapped in memory, in a window of a larger buffer, so
that no assumption about strides holds; swapped alone; a window alone (not aligned); one row repeated with stride 0."""

DEFINED_AT_INFINITY = frozenset({"softmax"})
"""Families whose references are defined where some inputs are minus infinity."""

EPSILON = re.compile(r"eps|norm|sqrt|std|var|1e-", re.IGNORECASE)
"""Where tiny values tell something: a wrong epsilon. Elsewhere they would only refuse formulas that are right to the
last bit of 1 but not of the output, as tanh by way of the sigmoid is."""

# Not `constant` where there is an epsilon: a variance of zero divides the rounding of the mean, which on a GPU is not
# exact (Triton's `/` may be off by two units), by that epsilon. A row of zeros is exact.
_SPECIAL = ("negative", "zeros", "constant", "shifted", "uniform")
_SIGNATURE_SPAN = 5
"""How many cases share two signatures before a third is drawn: recording a signature costs, another value does not."""


def make_cases(task: Task, request: CaseRequest) -> list[InputCase]:
    """Cases for a request, the one most likely to fail first. The same request gives the same cases everywhere.

    Each case's seed is a hash of the request's seed, the task's key and what the case is, so it repeats only where all
    three do; and the task as written, say, is the same case whoever asks for it, and is run once. The first five cases
    use at most two (shape, dtype, layout) signatures: the task as written, and one in which everything that may vary
    varies together. Without variation every case is the task as written.
    """
    signatures = _signatures(task, request)
    values = _distributions(task, request)
    seen: Counter[str] = Counter()
    cases = []
    for index in range(request.count):
        place = index % _SIGNATURE_SPAN
        if place == 0:
            varied = next(signatures)
        dims, dtype, layout = varied if place in (0, 2) else _as_written(task, request)
        distribution = next(values)
        name = _name(dims, dtype, layout, distribution)
        seen[name] += 1
        cases.append(InputCase(name, _seed(task, request, f"{name}#{seen[name]}"), dims, dtype, distribution, layout))
    return cases


def smallest_dims(task: Task) -> dict[str, int]:
    """The smallest declared value of every constant that may vary, where it is not the one as written."""
    own = integer_constants(task.source) if task.vary else {}
    smallest = {name: min((own[name], *values)) for name, values in task.vary.items() if name in own}
    return {name: value for name, value in smallest.items() if value != own[name]}


Signature = tuple[dict[str, int], str | None, str]


def _as_written(task: Task, request: CaseRequest) -> Signature:
    return (smallest_dims(task) if request.small else {}), None, "contiguous"


def _signatures(task: Task, request: CaseRequest) -> Iterator[Signature]:
    rng = Random(_seed(task, request, "signatures"))
    # Strided first: it shows what the others would, but for an input that is written to.
    layouts = chain(("strided",), cycle(rng.sample(LAYOUTS[2:], len(LAYOUTS) - 2)))
    dtypes: tuple[str | None, ...] = (None, *task.dtypes)
    while True:
        dims = {name: rng.choice(list(values)) for name, values in sorted(task.vary.items()) if values}
        yield (
            smallest_dims(task) if request.small else dims if request.shapes else {},
            rng.choice(dtypes) if request.dtypes else None,
            next(layouts) if request.layouts else "contiguous",
        )


def _distributions(task: Task, request: CaseRequest) -> Iterator[str]:
    """First the values that show most mistakes; special ones rotate, one a case. Bands come at the shape as written,
    which is the one that is timed: a candidate may look at shapes, and could be careful for the others only."""
    if not request.values:
        return cycle(["normal"])
    special = tuple(name for name in _SPECIAL if name != "constant" or not EPSILON.search(task.source))
    special += (("infinities",) if task.family in DEFINED_AT_INFINITY else ())
    start = Random(_seed(task, request, "distributions")).randrange(len(special))
    rotating = islice(cycle(special), start, None)
    fourth = chain(("bands",), rotating)
    small = "tiny" if EPSILON.search(task.source) else "special"
    order = cycle(("normal", "large", small, "fourth", "normal"))
    drawn = {"special": rotating, "fourth": fourth}
    return (next(drawn[name]) if name in drawn else name for name in order)


def _name(dims: dict[str, int], dtype: str | None, layout: str, distribution: str) -> str:
    parts = [f"{name}={value}" for name, value in dims.items()]
    parts += [part for part in (dtype, layout, distribution) if part and part not in ("contiguous", "normal")]
    return " ".join(parts) or "as written"


def _seed(task: Task, request: CaseRequest, what: str) -> int:
    text = f"{request.seed}/{task.key}/{what}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8]) >> 2

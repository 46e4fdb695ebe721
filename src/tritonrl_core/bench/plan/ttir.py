"""What a kernel's TTIR reads, writes and computes, read from its text: no Triton, nothing is executed.

For every pointer argument: is memory behind it read, is it written, and do the values written come from loads unchanged
(moved or cast: a copy) or through arithmetic? Used for proof of work and for facts. Where the text holds something that
is not known here, nothing is claimed: the answer says what it was (`KernelFlow.unclear`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache

from tritonrl_core.bench.plan.ttir_parameters import width
from tritonrl_core.bench.plan.ttir_text import Function, Operation, Type, UnknownTextError, called, read
from tritonrl_core.bench.plan.ttir_values import values_of

_CONSTANT = re.compile(r"arith\.constant (?:dense<)?([^>:\s]+)>?")

_MOVES = frozenset("""
    tt.addptr tt.splat tt.broadcast tt.expand_dims tt.reshape tt.trans tt.bitcast tt.advance tt.make_tensor_ptr
    tt.cat tt.join tt.split tt.unsplat tt.make_tensor_descriptor tt.fp_to_fp tt.int_to_ptr tt.ptr_to_int
    arith.extf arith.truncf arith.extsi arith.extui arith.trunci arith.sitofp arith.uitofp
    arith.bitcast arith.index_cast arith.index_castui ttg.convert_layout tt.reinterpret_tensor_descriptor
""".split())  # noqa: SIM905 - words
"""Not `arith.fptosi`: it cuts digits off, which is what `trunc` is."""
_LOADS = frozenset(["tt.load", "tt.descriptor_load", "tt.experimental_descriptor_load", "tt.descriptor_gather"])
_STORES = frozenset(["tt.store", "tt.descriptor_store", "tt.experimental_descriptor_store", "tt.descriptor_scatter"])
_ATOMICS = frozenset(["tt.atomic_rmw", "tt.atomic_cas", "tt.descriptor_reduce"])
_ACCESSES = _LOADS | _STORES | _ATOMICS
"""Their first operand is where."""
_IDLE = frozenset("""
    arith.constant tt.get_program_id tt.get_num_programs tt.make_range tt.return tt.print tt.assert ttg.barrier
    gpu.barrier ub.poison llvm.intr.assume cf.assert scf.if scf.for scf.while scf.yield scf.condition cf.br cf.cond_br
    tt.reduce.return tt.scan.return tt.map_elementwise.return
""".split())  # noqa: SIM905 - words
"""By themselves they move nothing; what regions and branches hand on is in `ttir_values`."""
_PURE_DIALECTS = ("arith.", "math.", "ub.", "index.")
"""Whose operations give results and do nothing else, also those that are not listed here."""
MOST_ROUNDS = 64
"""How often a function's operations are gone through until nothing changes any more; loops in loops need a few."""
MOST_CALLS = 64
"""Functions that may be under way at a time, each called by the one before."""

_COMPUTING = frozenset("""
    tt.dot tt.dot_scaled tt.reduce tt.scan tt.clampf tt.precise_sqrt tt.precise_divf tt.mulhiui tt.gather
    tt.histogram tt.extern_elementwise tt.elementwise_inline_asm tt.map_elementwise tt.call
""".split())  # noqa: SIM905 - words
_KNOWN = _ACCESSES | _MOVES | _COMPUTING | _IDLE
_NEUTRAL: Mapping[str, tuple[float, bool]] = {
    "arith.addf": (0.0, True), "arith.addi": (0, True), "arith.subf": (0.0, False), "arith.subi": (0, False),
    "arith.mulf": (1.0, True), "arith.muli": (1, True), "arith.divf": (1.0, False), "arith.divsi": (1, False),
    "arith.ori": (0, True), "arith.xori": (0, True), "arith.maxnumf": (float("-inf"), True),
    "arith.maximumf": (float("-inf"), True), "arith.minnumf": (float("inf"), True),
    "arith.minimumf": (float("inf"), True),
}  # fmt: skip
"""Operations that do nothing with this operand, and whether it may stand first."""


Slots = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Written:
    """Where what a kernel writes behind one argument comes from: arguments whose memory is moved there, and arguments
    whose memory goes into arithmetic (or into an address, a mask or a condition) whose result is written.
    """

    copied: frozenset[int] = frozenset()
    computed: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class KernelFlow:
    """Numbers are those of the kernel's launch parameters.

    `unclear` says what in the text is not understood; then the kernel may touch all that it is given, and whether it
    computes cannot be told. `stray` says how it deals with addresses in a way that nobody can follow. Both are "" where
    there is nothing to say.
    """

    reads: frozenset[int]
    writes: Mapping[int, Written]
    unclear: str = ""
    stray: str = ""

    @property
    def computes(self) -> bool:
        """Whether any result of arithmetic on loaded data is written."""
        return any(written.computed for written in self.writes.values())


def kernel_flow(ttir: str, entry: str, types: Sequence[str]) -> KernelFlow:
    """The flow of kernel `entry`; `types` are the Triton types of its launch parameters, as in `plan.Param`."""
    return _kernel_flow(ttir, entry, tuple(types))


@lru_cache(maxsize=512)
def _kernel_flow(ttir: str, entry: str, types: tuple[str, ...]) -> KernelFlow:
    owners = [number for number, kind in enumerate(types) for _ in range(width(kind))]
    pointers = frozenset(n for n, kind in enumerate(types) if kind.startswith(("*", "tensordesc")))
    try:
        text = _Text(read(ttir))
        function = text.functions.get(entry)
        if function is None or len(function.arguments) != len(owners):
            raise _UnclearError("is not defined in its text as it is launched")
        summary = _summarise(function, text, frozenset())
    except (_UnclearError, UnknownTextError) as error:
        unclear = str(error) if isinstance(error, _UnclearError) else f"holds what cannot be read ({error})"
        return KernelFlow(pointers, dict.fromkeys(pointers, Written(frozenset(), pointers)), unclear)
    writes: dict[int, Written] = {}
    for target, written in summary.writes.items():
        before = writes.get(owners[target], Written())
        copied, computed = (frozenset(owners[i] for i in part) for part in (written.copied, written.computed))
        writes[owners[target]] = Written(before.copied | copied, before.computed | computed)
    return KernelFlow(frozenset(owners[i] for i in summary.reads), writes, stray=summary.stray)


class _UnclearError(Exception):
    """Something in the text is not understood, so nothing can be said of the kernel; the words follow its name."""


@dataclass
class _Summary:
    reads: set[int] = field(default_factory=set)
    writes: dict[int, Written] = field(default_factory=dict)
    stray: str = ""


@dataclass
class _Text:
    """The functions of one text, and what those do that were gone through: a function may be called by many."""

    functions: Mapping[str, Function]
    known: dict[str, _Summary] = field(default_factory=dict)

    @cached_property
    def sets(self) -> _Sets:
        """Of all functions together: each has values of its own."""
        return _Sets(len(next(iter(self.functions.values())).types))


class _Sets:
    """For every value three sets of its function's arguments, as bits: the pointer's origin, memory moved in, memory
    computed with."""

    def __init__(self, count: int) -> None:
        self.origin, self.copied, self.computed = [0] * count, [0] * count, [0] * count

    def data(self, value: int) -> int:
        return self.copied[value] | self.computed[value]

    def move(self, to: int, source: int) -> bool:
        return self._join(to, self.origin[source], self.copied[source], self.computed[source])

    def compute(self, to: int, source: int) -> bool:
        return self._join(to, self.origin[source], 0, self.data(source))

    def depend(self, to: int, source: int) -> bool:
        return self._join(to, 0, 0, self.data(source))

    def load(self, to: int, pointer: int) -> bool:
        return self._join(to, 0, self.origin[pointer], self.data(pointer))

    def _join(self, to: int, origin: int, copied: int, computed: int) -> bool:
        before = (self.origin[to], self.copied[to], self.computed[to])
        self.origin[to] |= origin
        self.copied[to] |= copied
        self.computed[to] |= computed
        return before != (self.origin[to], self.copied[to], self.computed[to])


def _some(parts: list[bool]) -> bool:
    """Whether any is true; a list, so that all have been carried out."""
    return any(parts)


def _bits(mask: int) -> Iterator[int]:
    number = 0
    while mask:
        if mask & 1:
            yield number
        mask, number = mask >> 1, number + 1


def _summarise(function: Function, text: _Text, callers: frozenset[str]) -> _Summary:
    """What a function does by its own arguments' numbers. Raises `_UnclearError` and `UnknownTextError`."""
    values, callers = values_of(function), callers | {function.name}
    for operation, _ in values.operations:
        if operation.name not in _KNOWN and not operation.name.startswith(_PURE_DIALECTS):
            raise _UnclearError(f"uses {operation.name[:60]}, an operation that is not known here")
    if len(callers) > MOST_CALLS:
        raise _UnclearError("holds calls within calls, too deep to follow")
    sets, summary = text.sets, _Summary()
    constants = _constants(operation for operation, _ in values.operations)
    for number, argument in enumerate(function.arguments):
        sets.origin[argument] = 1 << number if _points(function.types[argument]) else 0
    acting = [(operation, control) for operation, control in values.operations if operation.name not in _IDLE]
    for _ in range(MOST_ROUNDS):
        changed = _some([sets.move(to, source) for to, source in values.moves])
        changed |= _some([sets.depend(to, condition) for to, condition in values.chosen])
        for operation, control in acting:
            changed |= _transfer(operation, control, sets, constants, summary, text, callers)
        if not changed or not (values.moves or values.chosen):  # in a text without regions all operands were known
            break
    else:
        raise _UnclearError("holds loops within loops, too many to follow")
    strays = (_stray(operation, sets, text) for operation, _ in values.operations if operation.operands)
    summary.stray = summary.stray or next(filter(None, strays), "")
    text.known[function.name] = summary
    return summary


def _points(kind: Type) -> bool:
    return kind.element in ("ptr", "desc")


def _constants(operations: Iterable[Operation]) -> dict[int, float]:
    found: dict[int, float] = {}
    for operation in operations:
        match = _CONSTANT.match(operation.text) if operation.name == "arith.constant" else None
        if match is not None and operation.results:
            value = _number(match[1])
            if value is not None:
                found[operation.results[0]] = value
    return found


_INFINITIES = {
    **dict.fromkeys(("0xFF800000", "0xFC00", "0xFF80", "0xFFF0000000000000"), float("-inf")),
    **dict.fromkeys(("0x7F800000", "0x7C00", "0x7F80", "0x7FF0000000000000"), float("inf")),
}
"""How MLIR prints infinities of the usual widths."""


def _number(text: str) -> float | None:
    try:
        return _INFINITIES[text] if text in _INFINITIES else float(text)
    except ValueError:
        return None


def _transfer(operation: Operation, control: Slots, sets: _Sets, constants: Mapping[int, float], summary: _Summary,
              text: _Text, callers: frozenset[str]) -> bool:  # fmt: skip
    """Let one operation that is not idle act on the sets; True where something changed. Raises `_UnclearError`."""
    name, operands, results = operation.name, operation.operands, operation.results
    if name in _LOADS and operands:
        summary.reads.update(_bits(sets.origin[operands[0]]))
        changed = _some([sets.load(result, operands[0]) for result in results])
        return _some([sets.compute(result, operand) for result in results for operand in operands[1:]]) or changed
    if name in _STORES or name in _ATOMICS:
        return _store(operation, control, sets, summary)
    if name == "tt.call":
        return _call(operation, control, sets, summary, text, callers)
    neutral = _without_neutral(operation, constants)
    if name in _MOVES or neutral is not None:
        return _some([sets.move(result, operand) for result in results for operand in neutral or operands])
    return _some([sets.compute(result, operand) for result in results for operand in operands])


def _stray(operation: Operation, sets: _Sets, text: _Text) -> str:
    """How an operation deals with addresses in a way that nobody can follow; to be asked when the sets are known.

    An access by an address of no argument, or an address that becomes data: out of memory, or out of a count of rounds,
    it would come back as a plain number.
    """
    name, (first, *others) = operation.name, operation.operands
    places = [first] if name in _ACCESSES else []
    if name == "tt.call":
        types = _callee(operation, text).argument_types
        places = [value for value, kind in zip(operation.operands, types, strict=True) if _points(kind)]
    if not all(sets.origin[value] for value in places):
        return "reaches memory by an address that it read or made up"
    told = others if name in _STORES | _ATOMICS else operation.operands if name in _COMPUTING else ()
    if name == "tt.ptr_to_int" or (name != "tt.call" and any(sets.origin[value] for value in told)):
        return "makes data of an address"
    return ""


def _without_neutral(operation: Operation, constants: Mapping[int, float]) -> list[int] | None:
    """The operand that matters, where the other is a constant that changes nothing; None where both matter."""
    if operation.name not in _NEUTRAL or len(operation.operands) != 2:
        return None
    value, first_too = _NEUTRAL[operation.name]
    first, second = operation.operands
    if constants.get(second) == value:
        return [first]
    return [second] if first_too and constants.get(first) == value else None


def _store(operation: Operation, control: Slots, sets: _Sets, summary: _Summary) -> bool:
    if not operation.operands:
        return False
    pointer, values = operation.operands[0], operation.operands[1:]
    if operation.name.endswith("descriptor_store") or operation.name == "tt.descriptor_scatter":
        values = values[-1:] + values[:-1]
    deciding = [*values[1:], *control]
    copied = sets.copied[values[0]] if values else 0
    computed = (sets.computed[values[0]] if values else 0) | sets.data(pointer)
    for value in deciding:
        computed |= sets.data(value)
    if operation.name in _ATOMICS:
        summary.reads.update(_bits(sets.origin[pointer]))
        computed, copied = computed | copied, 0
    changed = False
    for target in _bits(sets.origin[pointer]):
        before = summary.writes.get(target)
        written = before or Written()
        written = Written(written.copied | frozenset(_bits(copied)), written.computed | frozenset(_bits(computed)))
        summary.writes[target] = written
        changed |= written != before
    if operation.name in _ATOMICS:
        changed |= _some([sets.load(result, pointer) for result in operation.results])
    return changed


def _call(operation: Operation, control: Slots, sets: _Sets, summary: _Summary, text: _Text,
          callers: frozenset[str]) -> bool:  # fmt: skip
    callee = _callee(operation, text)
    if callee.name in callers:
        raise _UnclearError(f"calls {callee.name[:60]}, which calls itself")
    hand = sets.compute if any(map(_points, operation.types)) else sets.depend
    changed = _some([hand(result, operand) for result in operation.results for operand in operation.operands])
    inner = text.known.get(callee.name) or _summarise(callee, text, callers)
    summary.stray = summary.stray or inner.stray
    for number in inner.reads:
        summary.reads.update(_bits(sets.origin[operation.operands[number]]))
        changed |= _some([sets.load(result, operation.operands[number]) for result in operation.results])
    for target, written in inner.writes.items():
        changed |= _write_from_call(operation, control, sets, summary, target, written)
    return changed


def _callee(operation: Operation, text: _Text) -> Function:
    callee = text.functions.get(called(operation))
    if callee is None or len(callee.arguments) != len(operation.operands):
        raise _UnclearError("calls a function that its text does not define as it is called")
    return callee


def _write_from_call(operation: Operation, control: Slots, sets: _Sets, summary: _Summary, target: int,
                     written: Written) -> bool:  # fmt: skip
    def outer(numbers: frozenset[int]) -> frozenset[int]:
        return frozenset(i for number in numbers for i in _bits(sets.origin[operation.operands[number]]))

    data = frozenset(i for value in (*operation.operands, *control) for i in _bits(sets.data(value)))
    changed = False
    for number in _bits(sets.origin[operation.operands[target]]):
        before = summary.writes.get(number)
        known = before or Written()
        joined = Written(known.copied | outer(written.copied), known.computed | outer(written.computed) | data)
        summary.writes[number] = joined
        changed |= joined != before
    return changed

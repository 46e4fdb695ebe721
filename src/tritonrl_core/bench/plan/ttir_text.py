"""A kernel's TTIR as text: its functions and their operations, and what its launch parameters are there. Nothing is
executed, and what the operations mean is not known here.

Names become numbers, because regions use the same names again.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

_RESULTS = re.compile(r"(%[\w$.-]+(?::\d+)?(?:, %[\w$.-]+(?::\d+)?)*) = (.*)", re.S)
_USE = re.compile(r"%[\w$.-]+(?:#\d+)?")
_OPERATION = re.compile(r'"?([a-z_]+\.[\w.]+)"?')
_FUNCTION = re.compile(r"tt\.func (?:public |private )?@([\w$.-]+)\((.*?)\)(?: ->| attributes| \{|$)")
_ARGUMENT = re.compile(r"(%[\w$.-]+): (\S+)")
_FOR = re.compile(r"scf\.for (?:unsigned )?(%[\w$.-]+) = ")
_BINDING = re.compile(r"(%[\w$.-]+) = (%[\w$.-]+(?:#\d+)?)")
_BLOCK = re.compile(r"(\^\w+)(?:\((.*)\))?:")
_BRANCH = re.compile(r"(\^\w+)(?:\(([^:)]*)[^)]*\))?")
_DESCRIPTOR_RANK = re.compile(r"\[([0-9, ]+)\]")


@dataclass
class Operation:
    """One operation: its name, its text from there on, and the numbers of the values that it takes and gives."""

    name: str
    text: str
    operands: list[int]
    results: list[int]
    control: tuple[int, ...]
    """Values that decide whether the operation is carried out."""


@dataclass
class Function:
    """One function: its arguments, its operations in order, and how values are handed on between regions."""

    name: str
    arguments: list[int] = field(default_factory=list)
    pointers: list[bool] = field(default_factory=list)
    """For every argument whether it points to memory."""
    operations: list[Operation] = field(default_factory=list)
    moves: list[tuple[int, int]] = field(default_factory=list)
    """Pairs (to, from): values handed to block arguments, loop variables and results of regions."""
    values: int = 0
    complete: bool = True


@dataclass
class _Open:
    """A region being read: its operation, the names defined in it, and where its terminator's values go."""

    operation: Operation | None
    names: dict[str, list[int]]
    blocks: dict[str, list[int]] = field(default_factory=dict)
    arguments: list[int] = field(default_factory=list)


def functions_of(ttir: str) -> dict[str, Function]:
    """The functions of a text by name; those that are not understood are not `complete`."""
    functions: dict[str, Function] = {}
    reader: _Reader | None = None
    for line in ttir.splitlines():
        text = line.strip()
        header = _FUNCTION.match(text)
        if header is not None:
            reader = _Reader(header[1], header[2])
            functions[header[1]] = reader.function
        elif reader is not None and reader.regions:
            reader.read(text)
    return functions


class _Reader:
    """Reads one function's body line by line."""

    def __init__(self, name: str, arguments: str) -> None:
        self.function = Function(name)
        self.regions = [_Open(None, {})]
        for use, kind in _ARGUMENT.findall(arguments):
            self.function.arguments.append(self._define(use))
            self.function.pointers.append("!tt.ptr" in kind or kind.startswith("!tt.tensordesc"))
        self._pending: list[tuple[str, list[int]]] = []

    def read(self, text: str) -> None:
        if not text or text.startswith(("//", "#")):
            return
        if text.startswith("}"):
            closed = self.regions.pop()
            if text.endswith("{") and closed.operation is not None:
                self._open(closed.operation, closed.arguments)
            return
        label = _BLOCK.match(text)
        if label is not None and text.startswith("^"):
            self._label(label[1], label[2] or "")
            return
        operation = self._operation(text)
        if text.endswith("{"):
            self._open(operation, [])

    def _define(self, name: str, count: int = 1) -> int:
        numbers = list(range(self.function.values, self.function.values + count))
        self.function.values += count
        self.regions[-1].names[name] = numbers
        return numbers[0] if numbers else -1

    def _value(self, use: str) -> int:
        name, _, index = use.partition("#")
        for region in reversed(self.regions):
            if name in region.names:
                return region.names[name][min(int(index or 0), len(region.names[name]) - 1)]
        self.function.complete = False
        return self._define(name)

    def _operation(self, text: str) -> Operation:
        match = _RESULTS.match(text)
        body = match[2] if match else text
        found = _OPERATION.match(body)
        name = found[1] if found else "?"
        operands = (
            [] if name in ("scf.for", "scf.while") else [self._value(use) for use in _USE.findall(_without_text(body))]
        )
        control = tuple(v for region in self.regions if region.operation for v in region.operation.operands[:1]
                        if region.operation.name in ("scf.if", "scf.while", "cf.cond_br"))  # fmt: skip
        operation = Operation(name, body, operands, [], control)
        if match is not None:
            operation.results = self._results(match[1])
        self.function.operations.append(operation)
        self._terminate(operation)
        return operation

    def _results(self, names: str) -> list[int]:
        numbers: list[int] = []
        for part in names.split(", "):
            name, _, count = part.partition(":")
            first = self._define(name, int(count or 1))
            numbers.extend(range(first, first + int(count or 1)))
        return numbers

    def _open(self, operation: Operation, before: list[int]) -> None:
        """Begin a region. Loop variables get their first values here; `before` are the previous region's arguments."""
        bindings = _BINDING.findall(operation.text) if operation.name in ("scf.for", "scf.while") else []
        if operation.name == "scf.for" and not before:
            header = operation.text.split("iter_args")[0]
            operation.operands = [self._value(use) for use in _USE.findall(header)[1:]]
            bindings = _BINDING.findall(operation.text.partition("iter_args")[2])
        sources = [self._value(source) for _, source in bindings] if not before else []
        self.regions.append(_Open(operation, {}))
        if operation.name == "scf.for" and not before:
            self._define((_FOR.match(operation.text) or ["", "%?"])[1])
        if not before:
            arguments = [self._define(name) for name, _ in bindings]
            self.function.moves += [
                *zip(arguments, sources, strict=True),
                *zip(operation.results, sources, strict=False),
            ]
            self.regions[-1].arguments = arguments
        else:
            self.regions[-1].arguments = before

    def _label(self, name: str, arguments: str) -> None:
        region = self.regions[-1]
        numbers = [self._define(use) for use in _USE.findall(arguments)]
        operation = region.operation
        if operation is not None and operation.name == "scf.while":
            # The second region's block takes what `scf.condition` passed: the same values as the results.
            self.function.moves += zip(numbers, operation.results, strict=False)
        elif operation is not None and name == "^bb0":
            self.function.moves += [(number, operand) for number in numbers for operand in operation.operands]
        region.blocks[name] = numbers
        for target, values in self._pending:
            if target == name:
                self.function.moves += zip(numbers, values, strict=False)

    def _terminate(self, operation: Operation) -> None:
        region = self.regions[-1]
        owner = region.operation
        if operation.name in ("cf.br", "cf.cond_br"):
            for target, values in _BRANCH.findall(operation.text):
                numbers = [self._value(use) for use in _USE.findall(values)]
                self._pending.append((target, numbers))
                self.function.moves += zip(region.blocks.get(target, []), numbers, strict=False)
        elif (
            operation.name in ("scf.yield", "tt.reduce.return", "tt.scan.return", "tt.map_elementwise.return") and owner
        ):
            targets = [] if owner.name == "scf.while" else owner.results
            self.function.moves += zip(targets, operation.operands, strict=False)
            self.function.moves += zip(region.arguments, operation.operands, strict=False)
        elif operation.name == "scf.condition" and owner:
            self.function.moves += zip(owner.results, operation.operands[1:], strict=False)
            owner.operands = operation.operands[:1]


def _without_text(body: str) -> str:
    return re.sub(r'"[^"]*"', "", body) if '"' in body and not body.startswith('"') else body


def takes(ttir: str, entry: str, types: Sequence[str]) -> str:
    """How the text's kernel differs from launch parameters of these Triton types, in words; "" where it fits.

    The driver is told addresses of arguments and no sizes: it reads as many, and as much of each, as the binary wants.
    """
    headers = [match for line in ttir.splitlines() if (match := _FUNCTION.match(line.strip())) and match[1] == entry]
    found = [kind.rstrip(",") for match in headers for _, kind in _ARGUMENT.findall(match[2])]
    wanted = [form for kind in types for form in _forms(kind)]
    if len(headers) != 1 or len(found) != len(wanted):
        return f"takes {len(found)} arguments, {len(wanted)} are passed"
    for number, (kind, form) in enumerate(zip(found, wanted, strict=True)):
        if not (kind.startswith(form) if form.startswith("!") else kind == form):
            return f"takes {kind[:40]} as argument {number}, {form.removeprefix('!tt.')} is passed"
    return ""


_SCALARS: Mapping[str, str] = {"fp16": "f16", "bf16": "bf16", "fp32": "f32", "fp64": "f64", "f32": "f32", "f64": "f64"}


def _forms(kind: str) -> list[str]:
    """What a launch parameter of this Triton type is in TTIR; pointers and descriptors by how their types begin."""
    if kind.startswith("*"):
        return ["!tt.ptr"]
    if kind.startswith("tensordesc"):
        rank = (width(kind) - 1) // 2
        return ["!tt.tensordesc", *["i32"] * rank, *["i64"] * rank]
    return [_SCALARS.get(kind, f"i{kind[1:]}")]


def width(kind: str) -> int:
    """How many TTIR arguments a launch parameter becomes: a descriptor brings its sizes and strides along."""
    rank = _DESCRIPTOR_RANK.search(kind) if kind.startswith("tensordesc") else None
    return 1 if rank is None else 1 + 2 * len(rank[1].split(","))

"""TTIR text as a tree: functions, blocks, operations with their operands, types and regions. Nothing is carried out,
and what the operations mean is not known here.

Values become numbers (slots) here, because regions that lie side by side use the same names. The text comes from an
untrusted process: its reading takes time in proportion to its length, and what is not understood raises
`UnknownTextError`. Both the data flow (`ttir`) and the machine rest on this reading.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache

_RESULTS = re.compile(r"(%[\w$.-]+(?::\d+)?(?:, %[\w$.-]+(?::\d+)?)*) = (.*)", re.S)
_USE = re.compile(r"%[\w$.-]+(?:#\d+)?")
_NAME = re.compile(r'"?([a-z_]+\.[\w.]+)"?')
_SYMBOL = r'@(?:([\w$.-]+)|"([^"\\]+)")\('
"""A function's name; Triton 3.6 puts those in quotation marks that hold a constant argument."""
_FUNCTION = re.compile(
    r"tt\.func (?:public |private )?" + _SYMBOL
    + r"([^()]*)\)(?: -> (\([^()]*\)|[^ ()]+))?(?: attributes \{.*\})? \{$"
)
_CALL = re.compile(r"tt\.call " + _SYMBOL)
_BLOCK = re.compile(r"(\^\w+)(?:\((.*)\))?:")
_BINDING = re.compile(r"(%[\w$.-]+) = (%[\w$.-]+(?:#\d+)?)")
_TENSOR = re.compile(r"tensor<((?:\d+x)*)(.*)>")
_DESCRIPTOR = re.compile(r"(?:!tt\.tensordesc)?<(?:tensor<)?((?:\d+x)+[^<>]*)>+")
"""Triton 3.9 writes the block's shape and element by themselves, those before it as a tensor's type."""
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
_TARGET = re.compile(r"(\^\w+)(?:\(([^)]*)\))?")

_FOLDS = ("tt.reduce", "tt.scan", "tt.map_elementwise")
"""Operations whose types stand behind their region."""

DEEPEST = 64
"""Regions inside one another; more is no kernel."""
MOST_RESULTS = 64
"""Of a reduction; each is a tensor of its own."""
LONGEST_TYPE = 400
"""Letters of one type; more is no type of Triton's."""


class UnknownTextError(Exception):
    """The text is none that this reader knows."""


@dataclass(frozen=True, slots=True)
class Type:
    """A value's type: the shape of a tensor (() for a scalar), the element's type, and what a pointer points to."""

    element: str
    shape: tuple[int, ...] = ()
    pointee: str = ""

    @property
    def count(self) -> int:
        total = 1
        for size in self.shape:
            total *= size
        return total


@dataclass(slots=True)
class Operation:
    """One operation. `text` is its line without results and strings' contents, for attributes."""

    name: str
    text: str
    operands: tuple[int, ...]
    results: tuple[int, ...]
    types: list[Type]
    """Of the results."""
    regions: list[list[Block]] = field(default_factory=list)
    targets: tuple[tuple[str, tuple[int, ...]], ...] = ()
    """Blocks that a branch goes to, with the values it hands over."""


@dataclass(slots=True)
class Block:
    label: str
    arguments: list[int] = field(default_factory=list)
    operations: list[Operation] = field(default_factory=list)


@dataclass(slots=True)
class Function:
    """A function. `types` gives every slot's type; functions of one module share slots and types."""

    name: str
    arguments: list[int]
    blocks: list[Block]
    types: list[Type]
    result_types: tuple[Type, ...] = ()

    @property
    def argument_types(self) -> list[Type]:
        return [self.types[slot] for slot in self.arguments]


@lru_cache(maxsize=64)
def read(ttir: str) -> dict[str, Function]:
    """The functions of a module by name. Raises `UnknownTextError`."""
    try:
        return _read(ttir)
    except (ValueError, IndexError, RecursionError) as error:  # numbers without end, brackets without end
        raise UnknownTextError(f"a text that cannot be read ({type(error).__name__})") from None


def _read(ttir: str) -> dict[str, Function]:
    functions: dict[str, Function] = {}
    types: list[Type] = []
    reader: _Reader | None = None
    for line in ttir.splitlines():
        text = line.strip()
        if text.startswith("tt.func"):
            header = _FUNCTION.match(text)
            name = (header[1] or header[2]) if header is not None else ""
            if header is None or name in functions or (reader is not None and reader.stack):
                raise UnknownTextError(f"a function {text[:60]!r}")
            reader = _Reader(name, header[3], header[4] or "", types)
            functions[name] = reader.function
        elif reader is not None and reader.stack:
            reader.line(text)
    if reader is not None and reader.stack:
        raise UnknownTextError("the text ends inside a function")
    return functions


def called(operation: Operation) -> str:
    """The name of the function that a `tt.call` calls. Raises `UnknownTextError`."""
    match = _CALL.match(operation.text)
    if match is None:
        raise UnknownTextError(f"a call {operation.text[:60]!r}")
    return match[1] or match[2]


@lru_cache(maxsize=4096)
def type_of(text: str) -> Type:
    """`tensor<16x8x!tt.ptr<f32>>`, `!tt.ptr<f32>`, `i32`, … as a type."""
    if len(text) > LONGEST_TYPE:
        raise UnknownTextError(f"a type {text[:40]!r}")
    text = text.strip()
    tensor = _TENSOR.fullmatch(text)
    shape: tuple[int, ...] = ()
    if tensor is not None and not text.startswith("!"):
        shape = tuple(int(size) for size in tensor[1].split("x") if size)
        text = tensor[2].partition(", #")[0]
    if text.startswith("!tt.ptr<"):
        return Type("ptr", shape, text[8:-1].partition(",")[0])
    descriptor = _DESCRIPTOR.fullmatch(text)
    if descriptor is not None:
        block = type_of(f"tensor<{descriptor[1]}>")
        return Type("desc", block.shape, block.element)
    return Type(text, shape)


def split_types(text: str) -> list[str]:
    """A list of types, parted at the commas that are in no bracket."""
    if "," not in text:
        return [text.strip()] if text else []
    parts, depth, start = [], 0, 0
    for place, char in enumerate(text):
        if char in "<([{":
            depth += 1
        elif char in ")]}" or (char == ">" and text[place - 1] != "-"):
            depth -= 1
        elif char == "," and depth == 0:
            parts.append(text[start:place].strip())
            start = place + 1
    last = text[start:].strip()
    return [*parts, last] if last else parts


@dataclass
class _Open:
    """A region that is being read, the operation it belongs to (None for a function's body) and its names."""

    operation: Operation | None
    blocks: list[Block]
    names: dict[str, tuple[int, ...]]


class _Reader:
    """Reads one function's body, a line at a time."""

    def __init__(self, name: str, arguments: str, results: str, types: list[Type]) -> None:
        self.types = types
        body = [Block("^bb0")]
        self.stack = [_Open(None, body, {})]
        slots = []
        for part in split_types(arguments):
            use, _, kind = part.partition(": ")
            slots.append(self._define(use, [type_of(kind.partition(" {")[0])])[0])
        result_types = tuple(type_of(part) for part in split_types(results.removeprefix("(").removesuffix(")")))
        self.function = Function(name, slots, body, self.types, result_types)

    def line(self, text: str) -> None:
        if not text or text.startswith(("//", "#")):
            return
        if text.startswith("}"):
            self._close(text)
        elif text.startswith("^"):
            self._label(text)
        else:
            self._operation(text)

    def _define(self, name: str, types: list[Type]) -> tuple[int, ...]:
        slots = tuple(range(len(self.types), len(self.types) + len(types)))
        self.types += types
        self.stack[-1].names[name] = slots
        return slots

    def _slot(self, use: str) -> int:
        name, _, index = use.partition("#")
        slots = self.stack[-1].names.get(name)
        if slots is not None and not index:
            return slots[0]
        for region in reversed(self.stack):
            slots = region.names.get(name)
            if slots is not None:
                if int(index or 0) >= len(slots):
                    break
                return slots[int(index or 0)]
        raise UnknownTextError(f"{use} is used and not defined")

    def _slots(self, text: str) -> tuple[int, ...]:
        return tuple(self._slot(use) for use in _USE.findall(text))

    def _label(self, text: str) -> None:
        match = _BLOCK.match(text)
        if match is None:
            raise UnknownTextError(f"a block {text[:60]!r}")
        block = Block(match[1])
        for part in split_types(match[2] or ""):
            use, _, kind = part.partition(": ")
            block.arguments += self._define(use, [type_of(kind)])
        blocks = self.stack[-1].blocks
        if len(blocks) == 1 and not blocks[0].operations and not blocks[0].arguments:
            blocks[0] = block
        else:
            blocks.append(block)

    def _operation(self, line: str) -> None:
        opens = line.endswith("{")
        text = _STRING.sub('""', line) if '"' in line and not line.startswith(("%", '"tt.', "tt.call")) else line
        match = _RESULTS.match(text)
        body = match[2] if match else text
        found = _NAME.match(body)
        if found is None:
            raise UnknownTextError(f"an operation {line[:60]!r}")
        name = found[1]
        operation = Operation(name, body, (), (), [])
        names = match[1].split(", ") if match else []
        if opens:
            self._header(operation, body)
        else:
            operation.operands, operation.types = self._signature(operation, body)
        self.stack[-1].blocks[-1].operations.append(operation)
        self._results(operation, names)
        if opens:
            self._open(operation)

    def _results(self, operation: Operation, names: list[str]) -> None:
        counts = [(name, int(count or 1)) for name, _, count in (part.partition(":") for part in names)]
        wanted = sum(count for _, count in counts)
        if not operation.types and operation.name in _FOLDS and wanted <= MOST_RESULTS:
            operation.types = [Type("?")] * wanted  # known when the region closes
        if wanted > len(operation.types):
            raise UnknownTextError(f"the results of {operation.text[:60]!r}")
        place = 0
        slots: list[int] = []
        for name, count in counts:
            slots += self._define(name, operation.types[place : place + count])
            place += count
        operation.results = tuple(slots)

    def _signature(self, operation: Operation, body: str) -> tuple[tuple[int, ...], list[Type]]:
        """Operands and the types of results of an operation without a region."""
        name = operation.name
        if name in ("cf.br", "cf.cond_br"):
            labels = _TARGET.findall(body)
            operation.targets = tuple((label, self._slots(values.partition(":")[0])) for label, values in labels)
            return self._slots(body.partition("^")[0]), []
        if name == "arith.constant" and body.rpartition(" ")[2] in ("true", "false"):
            return (), [Type("i1")]
        head, signature = _parted(_without_strings(body))
        uses = self._slots(head)
        if "->" in signature:
            types = [type_of(part) for part in split_types(_bare(signature.rpartition("->")[2]))]
            return uses, types * 2 if name == "tt.split" else types
        if " to " in signature:
            return uses, [type_of(signature.rpartition(" to ")[2])]
        types = [type_of(part) for part in split_types(_bare(signature))]
        if name == "arith.select" or name == "tt.make_tensor_descriptor":
            types = types[-1:]
        elif name in ("arith.cmpi", "arith.cmpf"):
            types = [Type("i1", types[0].shape)]
        elif name == "tt.load":
            types = [Type(types[0].pointee, types[0].shape)]
        elif name in ("tt.split", "arith.mulsi_extended", "arith.mului_extended"):
            types = types * 2
        elif name == "arith.addui_extended":
            types = [types[0], types[1] if len(types) > 1 else Type("i1", types[0].shape)]
        elif name == "tt.addptr":
            types = types[:1]
        return uses, types

    def _header(self, operation: Operation, body: str) -> None:
        """Operands and result types of an operation that opens a region."""
        name = operation.name
        if name == "scf.for":
            bounds, _, rest = body.partition(" iter_args(")
            first = re.match(r"scf\.for (?:unsigned )?(%[\w$.-]+) = (\S+) to (\S+) step (\S+)", bounds)
            if first is None:
                raise UnknownTextError(f"a loop {body[:60]!r}")
            pairs = _BINDING.findall(rest.partition(") ->")[0])
            operation.operands = (*(self._slot(use) for use in first.groups()[1:]), *(self._slot(u) for _, u in pairs))
            operation.types = _arrow_types(rest) if rest else []
        elif name == "scf.while":
            pairs = _BINDING.findall(body.partition(") :")[0])
            operation.operands = tuple(self._slot(use) for _, use in pairs)
            operation.types = _arrow_types(body)
        elif name == "scf.if":
            operation.operands, operation.types = self._slots(body.partition("->")[0]), _arrow_types(body)
        elif name in _FOLDS:
            operation.operands = self._slots(body.partition("<{")[0])
        else:
            raise UnknownTextError(f"{name[:60]} with a region")

    def _open(self, operation: Operation) -> None:
        if len(self.stack) > DEEPEST:
            raise UnknownTextError("regions are nested too deeply")
        block = Block("^bb0")
        operation.regions.append([block])
        self.stack.append(_Open(operation, operation.regions[-1], {}))
        if len(operation.regions) > 1:
            return
        if operation.name == "scf.for":
            variable = operation.text.split()[2 if " unsigned " in operation.text else 1]
            block.arguments += self._define(variable, [self.types[operation.operands[0]]])
        if operation.name in ("scf.for", "scf.while"):
            text = operation.text.partition("iter_args" if operation.name == "scf.for" else "scf.while")[2]
            initial = operation.operands[3:] if operation.name == "scf.for" else operation.operands
            for (name, _), slot in zip(_BINDING.findall(text), initial, strict=False):
                block.arguments += self._define(name, [self.types[slot]])

    def _close(self, text: str) -> None:
        closed = self.stack.pop()
        operation = closed.operation
        if operation is None:
            return
        if text.endswith("{"):
            self._open(operation)
        elif operation.name in _FOLDS:
            operation.types = _arrow_types(text)
            if len(operation.types) != len(operation.results):
                raise UnknownTextError(f"the results of {operation.name}")
            for slot, kind in zip(operation.results, operation.types, strict=True):
                self.types[slot] = kind


def _parted(body: str) -> tuple[str, str]:
    """An operation's text before and after the colon that begins its types: the last one outside of brackets."""
    head, colon, signature = body.rpartition(" : ")
    if colon and "}" not in signature and signature.count("(") == signature.count(")"):
        return head, signature.strip()
    depth, place = 0, -1
    for index, char in enumerate(body):
        if char in "<([{":
            depth += 1
        elif char in ")]}" or (char == ">" and body[index - 1] != "-"):
            depth -= 1
        elif char == ":" and depth == 0 and body[index - 1 : index] == " ":
            place = index
    return (body, "") if place < 0 else (body[:place], body[place + 1 :].strip())


def _without_strings(text: str) -> str:
    return _STRING.sub('""', text) if '"' in text else text


def _bare(text: str) -> str:
    text = text.strip()
    return text[1:-1] if text.startswith("(") and text.endswith(")") else text


def _arrow_types(text: str) -> list[Type]:
    """The types after the last arrow at the end of a region's first or last line."""
    tail = text.rpartition("-> ")[2].removesuffix("{").strip()
    if tail.startswith("("):
        depth = 0
        for place, char in enumerate(tail):
            depth += (char == "(") - (char == ")")
            if depth == 0:
                tail = tail[1:place]
                break
    elif " : " in tail:
        tail = tail.partition(" : ")[0]
    return [type_of(part) for part in split_types(tail)]

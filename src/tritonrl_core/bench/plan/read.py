"""Reading a launch plan that came from an untrusted process: the shape and type of every value, one function for each
dataclass, and the rules for what stands alone: names, options, operators, a kernel's text.

Whether the parts fit together is `plan.check`'s.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from tritonrl_core.bench.aten import operators
from tritonrl_core.bench.plan import ttir_rules
from tritonrl_core.bench.plan.schema import (
    DTYPES,
    FLOAT_TYPES,
    INT_RANGES,
    PLAN_SCHEMA,
    ROLES,
    Arg,
    AtenCall,
    Buffer,
    Descriptor,
    Kernel,
    Launch,
    LaunchArg,
    LaunchPlan,
    Note,
    Param,
    Step,
    TensorRef,
    Tune,
    Word,
)
from tritonrl_core.bench.plan.ttir_parameters import takes
from tritonrl_core.types import Status

T = TypeVar("T")

WORDS: Mapping[str, frozenset[str]] = {
    "dtype": frozenset(DTYPES),
    "device": frozenset({"cuda", "cpu"}),
    "layout": frozenset({"strided"}),
    "memory_format": frozenset({"contiguous_format", "preserve_format", "channels_last", "channels_last_3d"}),
}

OPTIONS: Mapping[str, tuple[int, int]] = {
    "num_warps": (1, 64), "num_ctas": (1, 16), "num_stages": (0, 32), "warp_size": (32, 64), "maxnreg": (0, 512),
    "enable_fp_fusion": (0, 1), "enable_reflect_ftz": (0, 1), "launch_cooperative_grid": (0, 1), "launch_pdl": (0, 1),
    "debug": (0, 1), "sanitize_overflow": (0, 1), "waves_per_eu": (0, 16), "matrix_instr_nonkdim": (0, 32),
    "kpack": (1, 4), "max_num_imprecise_acc_default": (0, 1 << 30), "sched4reg": (0, 1), "clc": (0, 1),
}  # fmt: skip
"""Compile options that a plan may set, and their ranges. Nothing that names a file, a tool or a ready-made binary."""

DESCRIPTOR = re.compile(r"tensordesc<([a-z0-9]+)\[([0-9]+(?:, ?[0-9]+)*)\]>")
"""The type of a tensor descriptor: of which elements, and its block's shape."""

MAX_SIZE = 1 << 48
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_PATH = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[0-9A-Za-z_]+)*")
_OPERATOR = re.compile(r"aten\.[a-z_0-9]+\.[A-Za-z_0-9]+")
_POINTER = re.compile(r"\*k?[a-z][a-z0-9]*")
_LIBRARY = re.compile(r'(?:libpath|libname|symbol)"?\s*=\s*"([^"]*)"')


@dataclass(frozen=True, slots=True)
class PlanError:
    """Why a plan is refused: the status it earns its candidate and a reason."""

    status: Status
    reason: str


class RefusedError(Exception):
    """Leaves the reader and the rules; `plan.check.validate` turns it into the `PlanError` it carries."""

    def __init__(self, reason: str, status: Status = Status.CHEATED) -> None:
        super().__init__(reason)
        self.error = PlanError(status, reason if status is not Status.CHEATED else f"malformed launch plan: {reason}")


def read_plan(data: bytes) -> LaunchPlan:
    """A plan of the right form, whose parts may still not fit together. Raises `RefusedError`."""
    try:
        document = json.loads(data.decode("ascii"), parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise RefusedError(f"not JSON: {error}") from None
    return _plan(document)


def _no_constant(text: str) -> None:
    raise ValueError(f"{text} is not written that way")


def _fields(value: Any, names: str, what: str) -> dict[str, Any]:
    if not isinstance(value, dict) or set(value) != set(names.split()):
        raise RefusedError(f"{what} needs exactly the fields {names}")
    return value


def _int(value: Any, what: str, low: int = 0, high: int = MAX_SIZE) -> int:
    if type(value) is not int or not low <= value <= high:
        raise RefusedError(f"{what} must be an integer from {low} to {high}")
    return value


def _text(value: Any, what: str, pattern: re.Pattern[str] | None = None, longest: int = 1000) -> str:
    if not isinstance(value, str) or len(value) > longest or (pattern is not None and not pattern.fullmatch(value)):
        raise RefusedError(f"{what} is not a permitted text")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise RefusedError(f"{what} is not a permitted text") from None
    return value


def _list(value: Any, what: str, read: Callable[[Any], T], longest: int = 100_000) -> tuple[T, ...]:
    if not isinstance(value, list) or len(value) > longest:
        raise RefusedError(f"{what} must be a list of at most {longest}")
    return tuple(read(part) for part in value)


def _sizes(value: Any, what: str, low: int = 0) -> tuple[int, ...]:
    return _list(value, what, lambda part: _int(part, what, low), longest=64)


def _float(value: Any) -> float:
    try:
        return float.fromhex(value)
    except (TypeError, ValueError, OverflowError):
        raise RefusedError("a float is not written in hexadecimal") from None


def _tensor(value: Any) -> TensorRef:
    if not isinstance(value, dict) or set(value) != {"tensor"} or not isinstance(value["tensor"], list):
        raise RefusedError("a tensor reference was expected")
    if len(value["tensor"]) != 5:
        raise RefusedError("a tensor reference has five parts")
    buffer, shape, stride, offset, dtype = value["tensor"]
    sizes, steps = _sizes(shape, "a shape"), _sizes(stride, "a stride")
    if len(sizes) != len(steps):
        raise RefusedError("shape and stride differ in length")
    if not isinstance(dtype, str) or dtype not in DTYPES:
        raise RefusedError("unknown dtype")
    return TensorRef(_int(buffer, "a buffer number"), sizes, steps, _int(offset, "an offset"), dtype)


def _arg(value: Any, depth: int = 0) -> Arg:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _text(value, "a text argument")
    if isinstance(value, int):
        return _int(value, "an integer argument", -(1 << 63), (1 << 64) - 1)
    if isinstance(value, list):
        if depth > 4:
            raise RefusedError("arguments are nested too deeply")
        return _list(value, "a list argument", lambda part: _arg(part, depth + 1), longest=4096)
    if not isinstance(value, dict) or len(value) != 1:
        raise RefusedError("an argument of an unknown kind")
    ((tag, content),) = value.items()
    if tag == "tensor":
        return _tensor(value)
    if tag == "float":
        return _float(content)
    if tag not in WORDS or not isinstance(content, str) or content not in WORDS[tag]:
        raise RefusedError(f"unknown {tag if tag in WORDS else 'word'}")
    return Word(tag, content)


def _buffer(value: Any) -> Buffer:
    parts = _fields(value, "nbytes role index name data", "a buffer")
    if parts["role"] not in ROLES:
        raise RefusedError("unknown role of a buffer")
    try:
        data = base64.b64decode(_text(parts["data"], "constant data", longest=1 << 24), validate=True)
    except ValueError:
        raise RefusedError("constant data is not base64") from None
    nbytes, index = _int(parts["nbytes"], "a buffer's size"), _int(parts["index"], "an index", -1)
    return Buffer(nbytes, parts["role"], index, _text(parts["name"], "a parameter's name"), data)


def _aten(value: Any) -> AtenCall:
    parts = _fields(value, "name args kwargs outputs line", "an ATen call")
    name = _text(parts["name"], "an operator's name", longest=200)
    if not _OPERATOR.fullmatch(name) or operators.kind(name) not in ("layout", "arithmetic"):
        raise RefusedError(f"line {parts['line']}: {name} cannot be replayed", Status.UNSUPPORTED)
    try:
        operators.operator(name)
    except AttributeError:
        raise RefusedError(f"line {parts['line']}: PyTorch has no operator {name}", Status.UNSUPPORTED) from None
    if not isinstance(parts["kwargs"], dict):
        raise RefusedError("keyword arguments must be an object")
    kwargs = {_text(key, "a keyword", _NAME): _arg(part) for key, part in parts["kwargs"].items()}
    outputs = _list(parts["outputs"], "outputs", lambda part: None if part is None else _tensor(part), longest=1024)
    return AtenCall(name, _list(parts["args"], "arguments", _arg, longest=64), kwargs, outputs, _line(parts))


def _line(parts: dict[str, Any]) -> int:
    return _int(parts["line"], "a line number", 0, 1 << 31)


def _descriptor(value: Any) -> Descriptor:
    parts = _fields(value, "base shape strides block_shape padding round_f32_to_tf32", "a tensor descriptor")
    shape, block = _sizes(parts["shape"], "a descriptor's shape", 1), _sizes(parts["block_shape"], "a block shape", 1)
    strides = _sizes(parts["strides"], "a descriptor's strides")
    if not 1 <= len(shape) <= 5 or len(shape) != len(strides) or len(shape) != len(block) or strides[-1] != 1:
        raise RefusedError("a tensor descriptor's sizes do not fit together")
    if parts["padding"] not in ("zero", "nan") or not isinstance(parts["round_f32_to_tf32"], bool):
        raise RefusedError("a tensor descriptor's options are unknown")
    return Descriptor(_tensor(parts["base"]), shape, strides, block, parts["padding"], parts["round_f32_to_tf32"])


def _launch_arg(value: Any) -> LaunchArg:
    if type(value) is int:
        return _int(value, "a scalar", -(1 << 63), (1 << 64) - 1)
    if isinstance(value, dict) and set(value) == {"float"}:
        return _float(value["float"])
    if isinstance(value, dict) and set(value) == {"descriptor"}:
        return _descriptor(value["descriptor"])
    return _tensor(value)


def _launch(value: Any) -> Launch:
    parts = _fields(value, "kernel grid args line", "a launch")
    grid = _list(parts["grid"], "a grid", lambda part: _int(part, "a grid dimension", 1, (1 << 31) - 1), longest=3)
    if len(grid) != 3:
        raise RefusedError("a grid has three dimensions")
    args = _list(parts["args"], "arguments", _launch_arg, 4096)
    return Launch(_int(parts["kernel"], "a kernel number"), (grid[0], grid[1], grid[2]), args, _line(parts))


def _plain_step(value: Any) -> AtenCall | Launch:
    if isinstance(value, dict) and set(value) == {"aten"}:
        return _aten(value["aten"])
    if isinstance(value, dict) and set(value) == {"launch"}:
        return _launch(value["launch"])
    raise RefusedError("a step of an unknown kind")


def _step(value: Any) -> Step:
    if not isinstance(value, dict) or set(value) != {"tune"}:
        return _plain_step(value)
    parts = _fields(value["tune"], "variants line", "a tuning group")
    variants = _list(parts["variants"], "variants", lambda part: _list(part, "a variant", _plain_step, 64), longest=512)
    if not variants:
        raise RefusedError("a tuning group without variants")
    return Tune(variants, _line(parts))


def _kernel(value: Any) -> Kernel:
    parts = _fields(value, "name function ttir options params constants line", "a kernel")
    name = _text(parts["name"], "a kernel's name", _NAME)
    ttir = _text(parts["ttir"], "TTIR", longest=1 << 20)
    if f"tt.func public @{name}(" not in ttir:
        raise RefusedError("a kernel's TTIR does not define it")
    forbidden = ttir_rules.objection(ttir)
    if forbidden:
        raise RefusedError(f"kernel {name} holds {forbidden}", Status.UNSUPPORTED)
    for library in _LIBRARY.findall(ttir):
        if library and not library.startswith("__nv_") and not library.startswith("__ocml_"):
            raise RefusedError(f"kernel {name} links {library[:60]!r}, which is not of libdevice", Status.REJECTED)
    options, constants = parts["options"], parts["constants"]
    if not isinstance(options, dict) or not isinstance(constants, dict) or len(constants) > 4096:
        raise RefusedError("a kernel's options and constants must be objects")
    for key, part in options.items():
        if key not in OPTIONS or type(part) not in (int, bool) or not OPTIONS[key][0] <= part <= OPTIONS[key][1]:
            reason = f"kernel {name}: option {key[:40]} = {str(part)[:40]} is not supported"
            raise RefusedError(reason, Status.UNSUPPORTED)
    warps = options.get("num_warps", 4)
    if warps & (warps - 1):
        raise RefusedError("num_warps is not a power of two")
    params = _list(parts["params"], "parameters", _param, longest=4096)
    differs = takes(ttir, name, [param.type for param in params])
    if differs:
        raise RefusedError(f"kernel {name} {differs}")
    named = {_text(key, "a constant's name", _PATH): _constant(part) for key, part in constants.items()}
    return Kernel(name, _text(parts["function"], "a function's name"), ttir, options, params, named, _line(parts))


def _constant(value: Any, depth: int = 0) -> Any:
    if isinstance(value, list) and depth < 4:
        return tuple(_constant(part, depth + 1) for part in value)
    if isinstance(value, dict):
        if set(value) == {"float"}:
            return _float(value["float"])
        if len(value) == 1 and set(value) <= {"dtype", "function"}:
            return {key: _text(part, "a compile-time constant") for key, part in value.items()}
        raise RefusedError("a compile-time constant of an unknown kind")
    if value is None or isinstance(value, bool) or (type(value) is int and abs(value) < 1 << 64):
        return value
    return _text(value, "a compile-time constant")


def _param(value: Any) -> Param:
    parts = _fields(value, "path type divisible", "a parameter")
    kind = _text(parts["type"], "a parameter's type")
    known = kind in INT_RANGES or kind in FLOAT_TYPES or _POINTER.fullmatch(kind) or DESCRIPTOR.fullmatch(kind)
    if not known:
        raise RefusedError(f"a parameter of unknown type {kind[:40]!r}")
    divisible = _int(parts["divisible"], "a promise", 0, 1 << 20)
    return Param(_text(parts["path"], "a parameter's path", _PATH), kind, divisible)


def _note(value: Any) -> Note:
    parts = _fields(value, "kind text line", "a note")
    return Note(_text(parts["kind"], "a note", _NAME), _text(parts["text"], "a note"), _line(parts))


def _output(value: Any) -> TensorRef | int | float | bool:
    if isinstance(value, bool):
        return value
    if type(value) is int:
        return _int(value, "an output", -(1 << 63), (1 << 63) - 1)
    if isinstance(value, dict) and set(value) == {"float"}:
        return _float(value["float"])
    return _tensor(value)


def _plan(value: Any) -> LaunchPlan:
    names = "schema target triton kernels buffers inputs parameters prologue steps outputs notes init_inputs"
    parts = _fields(value, names, "a plan")
    if parts["schema"] != PLAN_SCHEMA or type(parts["schema"]) is not int:
        raise RefusedError("another schema version")
    if not isinstance(parts["parameters"], dict):
        raise RefusedError("parameters must be an object")
    return LaunchPlan(
        target=_text(parts["target"], "the target", re.compile(r"sm_[0-9]{2,3}|gfx[0-9a-f]{3,5}")),
        triton=_text(parts["triton"], "the triton version", re.compile(r"[0-9A-Za-z.+_-]{1,60}")),
        kernels=_list(parts["kernels"], "kernels", _kernel),
        buffers=_list(parts["buffers"], "buffers", _buffer),
        inputs=_list(parts["inputs"], "inputs", _tensor),
        parameters={_text(key, "a parameter's name"): _tensor(part) for key, part in parts["parameters"].items()},
        prologue=_list(parts["prologue"], "steps", _step),
        steps=_list(parts["steps"], "steps", _step),
        outputs=_list(parts["outputs"], "outputs", _output, longest=1024),
        notes=_list(parts["notes"], "notes", _note, longest=1000),
        init_inputs=_list(parts["init_inputs"], "inputs", _tensor),
    )

"""What eager PyTorch runs on a GPU for the operators of a reference: kernels, as `estimate.Work`.

Watched on the CPU, operator by operator; what each would do on a GPU is what PyTorch's CUDA sources say it does: how
many kernels, how many programs, and how long the chain in each of them is. Reductions end in a tree of synchronised
steps; a softmax over columns gives a block all columns and walks down them; a scan takes 2 x threads elements of a row
at a time. An operator that is not listed is taken to be one elementwise kernel. Of libraries' choices (cuBLAS, cuDNN)
only the usual tile is assumed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.utils.flop_counter import flop_registry

from tritonrl_core.bench.aten.modes import DispatchMode
from tritonrl_core.bench.timing.estimate import EAGER_ELEMENTS, Work

TREE = 6.0
"""Rounds that the last steps of a reduction cost, all of which wait for one another."""

SCAN_STEP, COLUMN_STEP = 2.3, 0.5
"""Rounds that one turn of a scan over rows costs, and one step down a column."""

TILE_ROWS, TILE_COLUMNS = 128, 64
"""A library's usual tile of a product."""

ALLOCATES = ("empty", "empty_like", "empty_strided", "new_empty", "detach")
REDUCES = ("sum", "mean", "amax", "amin", "max", "min", "argmax", "argmin", "prod", "var", "std", "var_mean",
           "std_mean", "linalg_vector_norm", "norm", "all", "any", "count_nonzero")  # fmt: skip
SCANS = ("cumsum", "cumprod", "logcumsumexp", "cummax", "cummin")
LOSSES = ("mse_loss", "smooth_l1_loss", "huber_loss", "l1_loss", "binary_cross_entropy", "soft_margin_loss")
LOOKS_UP = ("embedding", "index_select", "index", "gather")
PRODUCTS = ("mm", "addmm", "bmm", "baddbmm")
SORTS = ("sort", "topk", "kthvalue", "median", "mode")


class EagerWork(DispatchMode):
    """Notes the kernels of each ATen operator that runs inside. What one of them has moved, the next finds cached."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.work: list[Work] = []
        self._moved: set[int] = set()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        inputs, outputs = _tensors([*args, *(kwargs or {}).values()]), _tensors([result])
        known = {_place(tensor) for tensor in inputs}
        moves_nothing = func.is_view or all(_place(tensor) in known for tensor in outputs)
        name = func._schema.name.rpartition("::")[2]
        if not (moves_nothing and not func._schema.is_mutable) and name not in ALLOCATES:
            call = Call(name.rstrip("_"), args, inputs, outputs, flops_of(func, args, kwargs or {}, result))
            new = {_place(tensor): _bytes(tensor) for tensor in (*inputs, *outputs)}
            fresh = sum(size for place, size in new.items() if place not in self._moved)
            self._moved |= new.keys()
            self.work += kernels(call, fresh)
        return result


@dataclass(frozen=True)
class Call:
    """One call of an ATen operator, by the name without namespace and the underscore of in-place ones."""

    name: str
    args: Sequence[Any]
    inputs: Sequence[Tensor]
    outputs: Sequence[Tensor]
    flops: Mapping[str, float]


def kernels(call: Call, fresh: int) -> list[Work]:
    """The kernels of one operator. `fresh` bytes of what it moves nobody has moved before."""
    size = sum(map(_bytes, call.inputs)) + sum(map(_bytes, call.outputs))
    count = max((tensor.numel() for tensor in (*call.inputs, *call.outputs)), default=0)
    plain = _elementwise(count, size, fresh)
    name, first = call.name, call.inputs[0] if call.inputs else None
    if first is None:
        return [plain]
    if name in REDUCES:
        return [_reduced(plain, first, _axes(call, first))]
    if name == "logsumexp":
        return _log_sum_exp(plain, first, _axes(call, first))
    if name in SCANS:
        return [_scanned(plain, first, _axes(call, first))]
    if name in ("_softmax", "_log_softmax"):
        return [_softmax(plain, first, _axes(call, first)[0])]
    if name.startswith("native_") or "batch_norm" in name:
        return _normalised(call, plain, first)
    if name in PRODUCTS:
        return [_product(call, plain)]
    if "convolution" in name:
        return _convolution(call, plain)
    if "scaled_dot_product" in name:
        return [_attention(call, plain)]
    if name in LOSSES or name == "binary_cross_entropy_with_logits":
        return _loss(call, plain, first)
    if name in LOOKS_UP:
        return [replace(plain, rounds=2.0 * plain.programs)]
    if name in SORTS:
        return [replace(plain, rounds=40.0 * plain.programs)]
    if "pool" in name:
        window = max(1, first.numel() // max(call.outputs[0].numel(), 1))
        sides = call.args[1] if len(call.args) > 1 and isinstance(call.args[1], list | tuple) else [1]
        rounds = (1.0 + min(max(sides), 16)) * plain.programs
        return [replace(plain, elements=float(call.outputs[0].numel() * window), rounds=rounds)]
    return [plain]


def _elementwise(count: int, size: int, fresh: int) -> Work:
    programs = max(1, -(-count // EAGER_ELEMENTS))
    return Work(size, size, {}, programs, moved=size, fresh=fresh, rounds=float(programs), elements=float(count))


def _cached(work: Work) -> Work:
    """The same on what is in the cache already."""
    return replace(work, fresh=0)


def _small(outputs: int) -> Work:
    """An elementwise kernel on a few values."""
    return _elementwise(outputs, 8 * outputs, 0)


def _reduced(plain: Work, tensor: Tensor, axes: Sequence[int]) -> Work:
    """A block for each row, a thread for four elements; or 512 threads for 32 columns, whose blocks meet once more."""
    length = math.prod(tensor.shape[axis] for axis in axes)
    outputs = max(1, tensor.numel() // max(length, 1))
    warps = 16
    if _rows(tensor, axes):
        warps = min(16, max(1, length // (4 * 32)))
        blocks = max(1, min(outputs, tensor.numel() // 512), tensor.numel() // (1 << 14) if outputs < 132 else 1)
        steps = -(-length * outputs // (blocks * warps * 128)) + TREE * (1 if blocks <= outputs else 2)
    else:
        blocks = max(1, -(-outputs // 32))
        steps = min(-(-length // 64), 16) + 2 * TREE
    return replace(plain, programs=blocks, rounds=float(blocks * steps), warps=warps, resident=64 // warps)


def _log_sum_exp(plain: Work, tensor: Tensor, axes: Sequence[int]) -> list[Work]:
    """Largest, without infinities, difference, exponential, sum, logarithm, sum of both."""
    largest = _reduced(plain, tensor, axes)
    again, outputs = _cached(largest), max(1, tensor.numel() // math.prod(tensor.shape[axis] for axis in axes))
    few = _small(outputs)
    return [largest, few, few, _cached(plain), _cached(plain), again, few, few]


def _scanned(plain: Work, tensor: Tensor, axes: Sequence[int]) -> Work:
    """Over rows by blocks of 512 threads in the rows' own shape; over columns a thread each."""
    length = tensor.shape[axes[0]]
    rows = max(1, tensor.numel() // max(length, 1))
    if not _rows(tensor, axes):
        blocks = -(-rows // 512)
        return replace(plain, programs=blocks, rounds=blocks * length * COLUMN_STEP, warps=16, resident=4)
    across = min(max(4, (9 + _log2(length) - _log2(rows)) // 2), 9)
    blocks = -(-rows // (512 >> across))
    turns = -(-length // (2 << across))
    return replace(plain, programs=blocks, rounds=blocks * turns * SCAN_STEP, warps=16, resident=4)


def _softmax(plain: Work, tensor: Tensor, axis: int) -> Work:
    """Over rows: a warp each up to 1024 elements, else a block. Over columns: three walks down, in few blocks."""
    length = tensor.shape[axis]
    if _rows(tensor, [axis]):
        rows = max(1, tensor.numel() // max(length, 1))
        if length <= 1024:
            return replace(plain, programs=-(-rows // 4), rounds=5.0 * -(-rows // 4))
        return replace(plain, programs=rows, rounds=rows * (3.0 * -(-length // 4096) + 2 * TREE), warps=16, resident=4)
    columns = math.prod(tensor.shape[axis % tensor.dim() + 1 :])
    across, down = min(columns, 1024), 1
    while across <= 64 <= length and across * down * 2 <= 1024 and down < length:
        down *= 2
    blocks = max(1, tensor.numel() // (length * columns)) * -(-columns // across)
    return replace(plain, programs=blocks, rounds=blocks * 3 * COLUMN_STEP * -(-length // down), warps=16, resident=2)


def _normalised(call: Call, plain: Work, tensor: Tensor) -> list[Work]:
    """Moments, then the values. Layer norm does both in one kernel where rows are whole vectors of four; batch norm by
    known moments is elementwise."""
    name = call.name
    if "layer_norm" in name:
        row = math.prod(call.args[1])
        rows = max(1, tensor.numel() // row)
        both = replace(plain, programs=rows, rounds=rows * (1.0 + TREE))
        return [both] if row % 4 == 0 else [both, _cached(both)]
    if "group_norm" in name:
        groups = max(1, tensor.shape[0] * int(call.args[6]))
    elif call.args[5] is True:
        groups = max(1, tensor.shape[1])
    else:
        return [replace(plain, rounds=3.0 * plain.programs)]
    steps = -(-tensor.numel() // (groups * 512)) + 2 * TREE
    moments = replace(plain, programs=groups, rounds=groups * steps, warps=16, resident=4)
    return [moments, _small(groups), _cached(plain)]


def _product(call: Call, plain: Work) -> Work:
    out = call.outputs[0]
    rows, columns = out.shape[-2], out.shape[-1]
    tiles = -(-rows // TILE_ROWS) * -(-columns // TILE_COLUMNS) * max(1, out.numel() // max(rows * columns, 1))
    return replace(plain, programs=tiles, rounds=2.0 * tiles, warps=8, resident=2, flops=call.flops, elements=0.0)


def _convolution(call: Call, plain: Work) -> list[Work]:
    """A product between kernels that put input and output into the order it wants; alone where it is depthwise."""
    out, groups = call.outputs[0], call.args[8] if len(call.args) > 8 else 1
    channels = out.shape[1]
    if groups == channels:
        return [replace(plain, elements=sum(call.flops.values()) / 2)]
    tiles = -(-(out.numel() // channels) // TILE_ROWS) * -(-channels // TILE_COLUMNS)
    product = replace(plain, programs=tiles, rounds=2.0 * tiles, warps=8, resident=2, flops=call.flops, elements=0.0)
    return [plain, _cached(product), _cached(plain)]


def _attention(call: Call, plain: Work) -> Work:
    """A program for 64 queries of a head, which goes through the keys 64 at a time."""
    query, key = call.inputs[0], call.inputs[1]
    programs = math.prod(query.shape[:-2]) * -(-query.shape[-2] // 64)
    flops = 4.0 * query.numel() * key.shape[-2]
    kind = "fp16" if query.dtype in (torch.float16, torch.bfloat16) else "fp32"
    rounds = programs * 2.0 * -(-key.shape[-2] // 64)
    return replace(plain, programs=programs, rounds=rounds, flops={kind: flops}, tile=4096.0, resident=2, elements=0.0)


def _loss(call: Call, plain: Work, tensor: Tensor) -> list[Work]:
    """Elementwise (with logits: in several steps), then a mean or sum where it is asked for."""
    steps = [plain] + [_cached(plain)] * (4 if call.name.endswith("with_logits") else 0)
    if call.outputs[0].numel() < tensor.numel():
        steps.append(_cached(_reduced(plain, tensor, range(tensor.dim()))))
    return steps


def _axes(call: Call, tensor: Tensor) -> list[int]:
    """The axes that the call names, else all."""
    for value in call.args[2 if call.name in ("linalg_vector_norm", "norm") else 1 :]:
        if isinstance(value, int) and not isinstance(value, bool):
            return [value % max(tensor.dim(), 1)]
        if isinstance(value, list | tuple) and value and all(isinstance(axis, int) for axis in value):
            return [axis % max(tensor.dim(), 1) for axis in value]
    return list(range(tensor.dim()))


def _rows(tensor: Tensor, axes: Sequence[int]) -> bool:
    """Whether neighbours along these axes are neighbours in memory."""
    return any(tensor.stride(axis) == 1 for axis in axes if tensor.shape[axis] > 1) or tensor.dim() == len(axes)


def _log2(count: int) -> int:
    """The least power of two that is no less."""
    return max(count - 1, 0).bit_length()


def flops_of(func: Any, args: Any, kwargs: Any, result: Any) -> dict[str, float]:
    """Operations of a product by kind, from the shapes of what goes in and comes out; {} for all other operators."""
    count = flop_registry.get(func._overloadpacket)
    tensors = _tensors([result])
    if count is None or not tensors:
        return {}
    kinds = {torch.float64: "fp64", torch.float32: "fp32", torch.float16: "fp16", torch.bfloat16: "fp16"}
    return {kinds.get(tensors[0].dtype, "fp32"): float(count(*args, **kwargs, out_val=result))}


def _tensors(values: Sequence[Any]) -> list[Tensor]:
    found: list[Tensor] = []
    for value in values:
        if isinstance(value, Tensor):
            found.append(value)
        elif isinstance(value, list | tuple):
            found += _tensors(value)
    return found


def _place(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr()


def _bytes(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()

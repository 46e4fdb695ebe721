"""What goes into a recording and what comes out: specifications of tensors in, a plan or a reason out.

For the trusted side: it imports no Triton and none of the stand-ins. `read_recording` trusts nothing in what it reads.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import torch

from tritonrl_core.bench.plan.check import PlanLimits, validate
from tritonrl_core.bench.plan.read import PlanError
from tritonrl_core.bench.plan.schema import LaunchPlan, apart
from tritonrl_core.bench.processes.report import clean
from tritonrl_core.bench.targets import GpuProperties
from tritonrl_core.types import Stage, Status

FAILED = b'{"failure"'
"""How a child's answer begins that is a failure and no plan."""


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """A tensor without its values. `stride` and `offset` count elements; `nbytes` is its storage's size."""

    shape: tuple[int, ...]
    stride: tuple[int, ...]
    offset: int
    dtype: str
    nbytes: int


@dataclass(frozen=True, slots=True)
class Arguments:
    """Arguments of `ModelNew(...)` and of `forward`: numbers, texts, lists of such, and `TensorSpec`s for tensors."""

    init: tuple[Any, ...]
    forward: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class RecordRequest:
    """What a recording needs to know. No value of any tensor, no reference, no expected output is in it.

    `state` are the reference's parameters and buffers by name, in the order of its state dict. `other` are arguments of
    another shape, to be called with in between. `dtype` is what the model is cast to, as the case asks; None for as
    written. `training` puts the model into train or eval mode; None leaves it. `values` is given only where a program
    asks for one: the storages of the tensors in `arguments.forward`, of those in `arguments.init` and of `state`.
    `forbidden` are functions of Triton's library that the task does not allow (`Policy.forbidden_builtins`).
    """

    code: str
    arguments: Arguments
    state: Mapping[str, TensorSpec]
    gpu: GpuProperties
    training: bool | None = False
    dtype: str | None = None
    other: Arguments | None = None
    values: bytes | None = None
    forbidden: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RecordFailure:
    """Why there is no plan: a verdict about the candidate."""

    status: Status
    stage: Stage
    reason: str
    line: int = 0
    needs_values: bool = False
    """Whether recording with real values may go further."""


def tensor_spec(tensor: torch.Tensor) -> TensorSpec:
    """The specification of a real tensor."""
    name = str(tensor.dtype).removeprefix("torch.")
    nbytes = int(tensor.untyped_storage().nbytes())
    return TensorSpec(tuple(tensor.shape), tuple(tensor.stride()), int(tensor.storage_offset()), name, nbytes)


def specs_in(value: Any) -> list[TensorSpec]:
    """All specifications in a value, in order."""
    if isinstance(value, TensorSpec):
        return [value]
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    return [spec for part in parts for spec in specs_in(part)]


def storage_bytes(tensors: Iterable[torch.Tensor]) -> bytes:
    """The storages of some tensors, one after the other: `RecordRequest.values`."""
    parts = []
    for tensor in tensors:
        raw = tensor.detach().untyped_storage()
        flat = torch.empty(0, dtype=torch.uint8, device=raw.device).set_(raw, 0, (int(raw.nbytes()),), (1,))
        parts.append(flat.cpu().numpy().tobytes())
    return b"".join(parts)


def specify(value: Any) -> Any:
    """A value with every tensor in it replaced by its specification."""
    if isinstance(value, torch.Tensor):
        return tensor_spec(value)
    if isinstance(value, list | tuple):
        return type(value)(specify(part) for part in value)
    if isinstance(value, dict):
        return {key: specify(part) for key, part in value.items()}
    return value


def request_data(request: RecordRequest) -> dict[str, Any]:
    """The request as plain data, to be sent to the process that records. Raises `TypeError` for an unknown value."""
    return {
        "code": request.code,
        "arguments": _arguments_data(request.arguments),
        "other": None if request.other is None else _arguments_data(request.other),
        "state": {name: asdict(spec) for name, spec in request.state.items()},
        "gpu": asdict(request.gpu),
        "training": request.training,
        "dtype": request.dtype,
        "forbidden": list(request.forbidden),
    }


def job_data(request: RecordRequest, ahead: Sequence[RecordRequest] = ()) -> bytes:
    """A job for the recording child: one request, and what is to be recorded after it of the same candidate."""
    data = request_data(request)
    own = ("arguments", "other", "state", "training", "dtype")
    data["ahead"] = [{name: part for name, part in request_data(later).items() if name in own} for later in ahead]
    return json.dumps(data).encode()


def requests_from(data: bytes, values: bytes | None = None) -> list[RecordRequest]:
    """The requests of a job, the one that is asked for first."""
    job = json.loads(data)
    return [request_from(job, values), *(request_from({**job, **later}) for later in job.get("ahead", ()))]


def joined_parts(parts: Sequence[bytes]) -> bytes:
    """A child's answers to several requests, one after the other."""
    return b"".join(len(part).to_bytes(8, "little") + part for part in parts)


def split_parts(data: bytes) -> list[bytes]:
    """What `joined_parts` joined, as far as it is there. Nothing in it is trusted."""
    parts, place = [], 0
    while place + 8 <= len(data):
        size = int.from_bytes(data[place : place + 8], "little")
        if size > len(data) - place - 8:
            break
        parts.append(data[place + 8 : place + 8 + size])
        place += 8 + size
    return parts


def request_from(data: Mapping[str, Any], values: bytes | None = None) -> RecordRequest:
    """What `request_data` gave, in another process of ours; values travel apart."""
    gpu = {part.name: data["gpu"][part.name] for part in fields(GpuProperties)}
    return RecordRequest(
        code=data["code"],
        arguments=_arguments_from(data["arguments"]),
        other=None if data["other"] is None else _arguments_from(data["other"]),
        state={name: _spec_from(spec) for name, spec in data["state"].items()},
        gpu=GpuProperties(**gpu),
        training=data["training"],
        dtype=data["dtype"],
        values=values,
        forbidden=tuple(data["forbidden"]),
    )


def failure_bytes(failure: RecordFailure) -> bytes:
    """A failure as a recording child sends it."""
    return json.dumps({"failure": asdict(failure)}).encode()


def read_recording(data: bytes, limits: PlanLimits | None = None) -> LaunchPlan | RecordFailure:
    """What a recording child sent, checked. Nothing in it is trusted."""
    if data.startswith(FAILED) and len(data) < 1 << 16:
        failure = _read_failure(data)
        if failure is not None:
            return failure
    answer = validate(data, limits)
    if isinstance(answer, PlanError):
        return RecordFailure(answer.status, Stage.RECORD, answer.reason)
    return answer


def foreign_part(plan: LaunchPlan, request: RecordRequest) -> str:
    """What a plan claims to be given and is not, by the request that it was recorded for; "" where all fits.

    A plan that does not fit was not made by our recorder: whoever replays it would find other inputs than it names.
    """
    for what, refs, specs in (
        ("input", plan.inputs, specs_in(request.arguments.forward)),
        ("constructor input", plan.init_inputs, specs_in(request.arguments.init)),
    ):
        for number, (ref, spec) in enumerate(zip(refs, specs, strict=False)):
            lies = (ref.shape, ref.stride, ref.offset, ref.dtype)
            if lies != (spec.shape, spec.stride, spec.offset, spec.dtype):
                return f"{what} {number} is not what the case brings"
            if plan.buffers[ref.buffer].nbytes > spec.nbytes:
                return f"{what} {number} is larger than what the case brings"
        if len(refs) > len(specs) or (what == "input" and len(refs) < len(specs)):
            return f"{len(refs)} {what}s instead of {len(specs)}"
    for name, ref in plan.parameters.items():
        if name not in request.state or request.state[name].shape != ref.shape:
            return f"parameter {name[:60]} is none of the reference's"
        if not apart(ref.shape, ref.stride):
            return f"parameter {name[:60]} has no place of its own for each element"
    return ""


def _read_failure(data: bytes) -> RecordFailure | None:
    """A child may report any failure of its own; it cannot make itself pass that way."""
    try:
        parts = json.loads(data)["failure"]
        status, stage = Status(parts["status"]), Stage(parts["stage"])
        reason, line, needs = clean(parts["reason"]), int(parts["line"]), bool(parts["needs_values"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return None if status in (Status.PASSED, Status.INFRA) else RecordFailure(status, stage, reason, line, needs)


def _arguments_data(arguments: Arguments) -> dict[str, Any]:
    return {"init": _tagged(arguments.init), "forward": _tagged(arguments.forward)}


def _arguments_from(data: Mapping[str, Any]) -> Arguments:
    return Arguments(_untagged(data["init"]), _untagged(data["forward"]))


def _spec_from(data: Mapping[str, Any]) -> TensorSpec:
    return TensorSpec(tuple(data["shape"]), tuple(data["stride"]), data["offset"], data["dtype"], data["nbytes"])


def _tagged(value: Any) -> Any:
    if isinstance(value, TensorSpec):
        return {"tensor": asdict(value)}
    if isinstance(value, list | tuple):
        return {"list" if isinstance(value, list) else "tuple": [_tagged(part) for part in value]}
    if isinstance(value, dict):
        return {"dict": [[_tagged(key), _tagged(part)] for key, part in value.items()]}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, torch.dtype):
        return {"dtype": str(value).removeprefix("torch.")}
    raise TypeError(f"an argument of type {type(value).__name__} cannot be given to a candidate")


def _untagged(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    ((tag, content),) = value.items()
    if tag == "tensor":
        return _spec_from(content)
    if tag == "dtype":
        return getattr(torch, content)
    if tag == "dict":
        return {_untagged(key): _untagged(part) for key, part in content}
    parts = [_untagged(part) for part in content]
    return parts if tag == "list" else tuple(parts)

"""Recording: run a candidate's Python on fake CUDA tensors and write down what it would do on the GPU.

`record` is called in a forked child that is confined and has no GPU; what it gives back is untrusted bytes, which
`record.request.read_recording` turns into a plan or a reason. No kernel is compiled past TTIR and none is run.
"""

from __future__ import annotations

import json
import mmap
import os
import random
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import prod
from types import ModuleType
from typing import Any

import torch
import triton.language as tl
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode

from tritonrl_core.bench.plan.schema import LaunchPlan, encode
from tritonrl_core.bench.record import warm_candidates
from tritonrl_core.bench.record.device_stand_in import DeviceStandIn, fake_cuda
from tritonrl_core.bench.record.dispatch import Recorder
from tritonrl_core.bench.record.explain import explain
from tritonrl_core.bench.record.request import (
    FAILED,
    Arguments,
    RecordFailure,
    RecordRequest,
    TensorSpec,
    failure_bytes,
    joined_parts,
    read_recording,
    requests_from,
)
from tritonrl_core.bench.record.session import MODULE, Judged, Session
from tritonrl_core.bench.record.trace import Trace, candidate_line
from tritonrl_core.bench.record.triton_launches import TritonStandIn
from tritonrl_core.bench.targets import GpuProperties, gpu_for
from tritonrl_core.errors import InfraError
from tritonrl_core.types import Status

REFUSED_FUNCTIONS = ("torch.compile", "torch.jit.script", "torch.jit.trace")
"""Ways of having something else write the kernels."""


@dataclass
class _StandIns:
    """The stand-ins of this process; made once, told for each recording whom to tell."""

    device: DeviceStandIn
    triton: TritonStandIn
    installed: bool = field(default=False)


_STAND_INS: dict[str, _StandIns] = {}


def record(request: RecordRequest) -> bytes:
    """Record a candidate: the serialised plan, or `{"failure": …}`. The boundary around all that a candidate raises."""
    try:
        return encode(_record(request))
    except Judged as judged:
        failure = judged.failure
    except BaseException as error:  # noqa: BLE001 - a candidate may raise anything, SystemExit too
        judged_inside = _judged_inside(error)
        failure = judged_inside.failure if judged_inside else explain(error, request.code)
    return failure_bytes(failure)


def _judged_inside(error: BaseException) -> Judged | None:
    """The verdict that Triton's front end has wrapped into errors of its own."""
    inner: BaseException | None = error
    while inner is not None and not isinstance(inner, Judged):
        inner = inner.__cause__
    return inner


def warm() -> None:
    """Import, patch and record, so that a forked child finds everything ready. For a process that only records."""
    # Inductor, which fake tensors import, would start a pool of compilers and with it a thread: this process forks.
    os.environ["TORCHINDUCTOR_COMPILE_THREADS"] = "1"
    given, other = Arguments((), (_floats(8, 16),)), Arguments((), (_floats(5, 16),))
    for code, shapes in warm_candidates.CANDIDATES:
        state = {name: _floats(*shape) for name, shape in shapes.items()}
        request = RecordRequest(code, given, state, gpu_for("sm_90"), other=other)
        answer = read_recording(record(request))
        if isinstance(answer, RecordFailure):
            raise InfraError(f"the recorder does not work here: {answer.reason}")


def _floats(*shape: int) -> TensorSpec:
    strides = tuple(prod(shape[axis + 1 :]) for axis in range(len(shape)))
    return TensorSpec(shape, strides, 0, "float32", 4 * prod(shape))


def run(job: int, other: int | None = None) -> bytes:
    """One job of a warm worker: descriptors that hold `job_data`, and the values of its one request where they are
    needed or, where more is recorded ahead, a byte that says how many recordings are done.
    """
    data = os.pread(job, os.fstat(job).st_size, 0)
    if not json.loads(data).get("ahead"):
        known = None if other is None else os.pread(other, os.fstat(other).st_size, 0)
        return record(requests_from(data, known)[0])
    assert other is not None
    done = mmap.mmap(other, 1)  # a sandbox may let it write to no file
    parts: list[bytes] = []
    for request in requests_from(data):
        torch.set_default_dtype(torch.float32)
        parts.append(record(request))
        done[0] = len(parts)
        if parts[0].startswith(FAILED):
            break
    return joined_parts(parts)


def _record(request: RecordRequest) -> LaunchPlan:
    stand_ins = _install(request.gpu)
    trace = Trace()
    stand_ins.device.sink = stand_ins.triton.sink = trace
    FakeTensor.data_ptr = lambda self: trace.address(self)  # type: ignore[method-assign, arg-type]
    random.seed(0)
    mode = FakeTensorMode(allow_non_fake_inputs=True)
    try:
        with fake_cuda(mode), torch.no_grad(), Recorder(trace, mode), _without(request.forbidden):
            return Session(request, trace).plan()
    finally:
        stand_ins.device.sink = stand_ins.triton.sink = None
        sys.modules.pop(MODULE, None)


def _install(gpu: GpuProperties) -> _StandIns:
    stand_ins = _STAND_INS.get(repr(gpu))
    if stand_ins is None:
        stand_ins = _STAND_INS[repr(gpu)] = _StandIns(DeviceStandIn(gpu), TritonStandIn(gpu))
    if not stand_ins.installed:
        for other in _STAND_INS.values():
            other.installed = False
        stand_ins.device.install()
        stand_ins.triton.install()
        stand_ins.installed = True
        _refuse_compilers()
    return stand_ins


def _refuse_compilers() -> None:
    def refusal(name: str) -> Any:
        def refuse(*_: Any, **__: Any) -> Any:
            raise Judged(Status.REJECTED, f"{name} is not allowed: write the kernels in Triton", candidate_line())

        return refuse

    for name in REFUSED_FUNCTIONS:
        owner, _, attribute = name.rpartition(".")
        setattr(torch if owner == "torch" else torch.jit, attribute, refusal(name))
    extension = ModuleType("torch.utils.cpp_extension")
    for attribute in ("load", "load_inline", "CUDAExtension", "BuildExtension", "CppExtension"):
        setattr(extension, attribute, refusal(f"torch.utils.cpp_extension.{attribute}"))
    sys.modules["torch.utils.cpp_extension"] = extension


@contextmanager
def _without(builtins: Sequence[str]) -> Iterator[None]:
    """Triton's library with these functions refusing to be compiled, under whatever name a kernel has them."""

    def refusal(name: str) -> Any:
        def refuse(*_: Any, **__: Any) -> Any:
            raise Judged(Status.REJECTED, f"tl.{name} is not allowed: the task is the algorithm itself")

        refuse.__module__ = tl.standard.__name__
        refuse.__triton_builtin__ = True  # type: ignore[attr-defined]
        return refuse

    places = [(place, name) for place in (tl, tl.standard) for name in builtins if hasattr(place, name)]
    before = [getattr(place, name) for place, name in places]
    for place, name in places:
        setattr(place, name, refusal(name))
    try:
        yield
    finally:
        for (place, name), own in zip(places, before, strict=True):
            setattr(place, name, own)

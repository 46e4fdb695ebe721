"""Recording: run a candidate's Python on fake CUDA tensors and write down what it would do on the GPU.

`record` is called in a forked child that is confined and has no GPU; what it gives back is untrusted bytes, which
`record_request.read_recording` turns into a plan or a reason. No kernel is compiled past TTIR and none is run.
"""

from __future__ import annotations

import json
import linecache
import os
import random
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import torch
import triton
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.utils._pytree import tree_flatten, tree_map

from tritonrl_core.bench.device_stand_in import DEVICE, DeviceStandIn, fake_cuda
from tritonrl_core.bench.explain import explain
from tritonrl_core.bench.explain import failure as failure_of
from tritonrl_core.bench.flow import access
from tritonrl_core.bench.parameters import Created, match, named_tensors
from tritonrl_core.bench.plan import Launch, LaunchPlan, Step, TensorRef, encode, plain_steps
from tritonrl_core.bench.planner import Bound, CarriedDataError, Run, first_difference, make_plan
from tritonrl_core.bench.record_request import (
    Arguments,
    RecordFailure,
    RecordRequest,
    TensorSpec,
    failure_bytes,
    read_recording,
    request_from,
    specs_in,
)
from tritonrl_core.bench.targets import GpuProperties, gpu_for
from tritonrl_core.bench.trace import CANDIDATE_FILE, Recorder, Trace, UnsupportedCallError, candidate_line
from tritonrl_core.bench.triton_internals import TritonStandIn
from tritonrl_core.errors import InfraError
from tritonrl_core.types import Stage, Status

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
    except _Judged as judged:
        failure = judged.failure
    except BaseException as error:  # noqa: BLE001 - a candidate may raise anything, SystemExit too
        failure = explain(error, request.code)
    return failure_bytes(failure)


class _Judged(Exception):  # noqa: N818 - a verdict, not an error
    def __init__(self, status: Status, reason: str, line: int = 0, stage: Stage = Stage.RECORD) -> None:
        super().__init__(reason)
        self.failure = failure_of(status, stage, reason, line)


def warm() -> None:
    """Import, patch and record once, so that a forked child finds everything ready. For a process that only records."""
    # Inductor, which fake tensors import, would start a pool of compilers and with it a thread: this process forks.
    os.environ["TORCHINDUCTOR_COMPILE_THREADS"] = "1"
    scale = Arguments((), (TensorSpec((8, 16), (16, 1), 0, "float32", 512),))
    request = RecordRequest(_WARM_CODE, scale, {}, gpu_for("sm_90"))
    answer = read_recording(encode(_record(request)))
    if isinstance(answer, RecordFailure):
        raise InfraError(f"the recorder does not work here: {answer.reason}")


def run(request: int, values: int | None = None) -> bytes:
    """One job of a warm worker: descriptors that hold `request_data` as JSON and, where they are needed, values."""
    data = os.pread(request, os.fstat(request).st_size, 0)
    known = None if values is None else os.pread(values, os.fstat(values).st_size, 0)
    return record(request_from(json.loads(data), known))


def _record(request: RecordRequest) -> LaunchPlan:
    stand_ins = _install(request.gpu)
    trace = Trace()
    stand_ins.device.sink = stand_ins.triton.sink = trace
    FakeTensor.data_ptr = lambda self: trace.address(self)  # type: ignore[method-assign, arg-type]
    random.seed(0)
    mode = FakeTensorMode(allow_non_fake_inputs=True)
    try:
        with fake_cuda(mode), torch.no_grad(), Recorder(trace, mode):
            return _Session(request, trace).plan()
    finally:
        stand_ins.device.sink = stand_ins.triton.sink = None
        sys.modules.pop(_MODULE, None)


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
            raise _Judged(Status.REJECTED, f"{name} is not allowed: write the kernels in Triton", candidate_line())

        return refuse

    for name in REFUSED_FUNCTIONS:
        owner, _, attribute = name.rpartition(".")
        setattr(torch if owner == "torch" else torch.jit, attribute, refusal(name))
    extension = ModuleType("torch.utils.cpp_extension")
    for attribute in ("load", "load_inline", "CUDAExtension", "BuildExtension", "CppExtension"):
        setattr(extension, attribute, refusal(f"torch.utils.cpp_extension.{attribute}"))
    sys.modules["torch.utils.cpp_extension"] = extension


_MODULE = "candidate"

MOST_VALUES = 256 << 20
"""Bytes of a result up to which values are followed where they were given."""


class _Values:
    """The given values cut into one piece a tensor; empty where none were given."""

    def __init__(self, request: RecordRequest) -> None:
        self.forward: list[bytes] = []
        self.init: list[bytes] = []
        self.state: dict[str, bytes] = {}
        if request.values is None:
            return
        place = 0

        def cut(spec: TensorSpec) -> bytes:
            nonlocal place
            place += spec.nbytes
            return (request.values or b"")[place - spec.nbytes : place]

        self.forward = [cut(spec) for spec in specs_in(request.arguments.forward)]
        self.init = [cut(spec) for spec in specs_in(request.arguments.init)]
        self.state = {name: cut(spec) for name, spec in request.state.items()}


class _Session:
    """One recording: load the module, make the model, call it again and again, compare."""

    def __init__(self, request: RecordRequest, trace: Trace) -> None:
        self.request = request
        self.trace = trace
        self.runs: list[Run] = []
        self.keep: list[Any] = []
        self.init: list[Step] = []
        self.values = _Values(request)
        if request.values is not None:
            trace.shadows.largest = MOST_VALUES

    def plan(self) -> LaunchPlan:
        """The plan of the steady state, once all calls have shown that they do the same."""
        with self.trace.region("import") as imported:
            module = load_module(self.request.code)
        with self.trace.region("init") as region:
            created = Created()
            model = self._make(module, self.request.arguments, created)
        self.init = [*imported.steps, *region.steps]
        bound = self._bind(model, created)
        self._run("first", model, self.request.arguments)
        self._run("second", model, self.request.arguments)
        self._call_with_another_shape(module, model)
        self._run("third", model, self.request.arguments)
        self._run("again", model, self.request.arguments, inputs=self.keep[-1])
        plans = [self._plan_of(number, bound) for number in range(len(self.runs))]
        return self._agreed(plans)

    def _make(self, module: ModuleType, arguments: Arguments, created: Created) -> Any:
        handles = created.watch()
        try:
            known = self.values.init if arguments is self.request.arguments else ()
            model = module.ModelNew(*self._tensors(arguments.init, torch.device("cpu"), known))
        finally:
            for handle in handles:
                handle.remove()
        if not isinstance(model, torch.nn.Module):
            raise _Judged(Status.RUNTIME_ERROR, "ModelNew is not a torch.nn.Module")
        if self.request.training is not None:
            model.train(self.request.training)
        self._move(model)
        return model

    def _move(self, model: torch.nn.Module) -> None:
        """To the device and to the case's dtype, as evaluators do after construction.

        A tensor that only changes its device stays the same memory: no step. A cast is a step of the prologue.
        """
        dtype = getattr(torch, self.request.dtype) if self.request.dtype else None

        def moved(tensor: torch.Tensor) -> torch.Tensor:
            cast = dtype is not None and tensor.is_floating_point() and tensor.dtype != dtype
            if tensor.device == DEVICE and not cast:
                return tensor
            before = len(self.trace.steps)
            new = tensor.to(device=DEVICE, dtype=dtype) if cast else tensor.to(DEVICE)
            if not cast and new.stride() == tensor.stride() and tensor.storage_offset() == 0:
                del self.trace.steps[before:]
                self.trace.alias(new, self.trace.storage(tensor).number)
            return new

        model._apply(moved)  # type: ignore[no-untyped-call]

    def _bind(self, model: torch.nn.Module, created: Created) -> Bound:
        """Find the reference's parameters among the model's. What was computed from another of them is none itself."""
        tensors = named_tensors(model, created)
        roots = {self.trace.storage(tensor).number for tensor in tensors.values()}
        origin = {number: {number} for number in roots}
        for step in self.init:
            seen = access(step, self.trace.kernels)
            sources = set().union(*(origin.get(number, set()) for number in seen.reads))
            for number in seen.writes:
                origin.setdefault(number, set()).update(sources)
        wanted = {name: spec.shape for name, spec in self.request.state.items()}
        own = {
            name: tuple(tensor.shape)
            for name, tensor in tensors.items()
            if name in wanted or origin[self.trace.storage(tensor).number] <= {self.trace.storage(tensor).number}
        }
        found: dict[str, TensorRef] = {}
        for name, theirs in match(own, wanted).items():
            ref = self.trace.ref(tensors[name])
            if all(ref.buffer != other.buffer for other in found.values()):
                found[theirs] = ref
                self._know_parameter(ref, theirs)
        return Bound(found)

    def _know_parameter(self, ref: TensorRef, name: str) -> None:
        """Its value, where values were given and it lies as the reference's does."""
        data, spec = self.values.state.get(name), self.request.state[name]
        if data is not None and (spec.stride, spec.offset, spec.dtype) == (ref.stride, ref.offset, ref.dtype):
            self.trace.shadows.set(ref.buffer, data)

    def _run(self, name: str, model: Any, arguments: Arguments, inputs: Any = None) -> Run:
        inputs = self._tensors(arguments.forward, DEVICE, self.values.forward) if inputs is None else inputs
        with self.trace.region(name) as region:
            output = model(*inputs)
        self.keep += [output, inputs]
        tensors = [part for part in tree_flatten(inputs)[0] if isinstance(part, torch.Tensor)]
        refs = tuple(self.trace.ref(tensor) for tensor in tensors)
        run = Run(name, refs, tuple(self._output(part) for part in _flat_outputs(output)), region.steps, region.notes)
        self.runs.append(run)
        return run

    def _call_with_another_shape(self, module: ModuleType, model: Any) -> None:
        """Gives a cache something else to hold. What happens in it is not judged: other cases have other shapes."""
        other = self.request.other
        if other is None:
            return
        try:
            with self.trace.region("other"):
                if other.init != self.request.arguments.init:
                    model = self._make(module, other, Created())
                self.keep.append(model(*self._tensors(other.forward, DEVICE)))
        except _Judged:
            raise
        except Exception:  # noqa: BLE001 - the candidate's own, and not what this case is about
            return

    def _output(self, value: Any) -> TensorRef | int | float | bool:
        if isinstance(value, torch.Tensor):
            if not isinstance(value, FakeTensor):
                raise UnsupportedCallError("forward returned a tensor that it did not compute")
            return self.trace.ref(value)
        if isinstance(value, bool | int | float):
            return value
        raise _Judged(Status.RUNTIME_ERROR, f"forward returned a {type(value).__name__}")

    def _tensors(self, values: Sequence[Any], device: torch.device, known: Sequence[bytes] = ()) -> list[Any]:
        """New fake tensors for the specifications in `values`; each has memory of its own, and its known values."""
        contents = iter(known)

        def made(value: Any) -> Any:
            if not isinstance(value, TensorSpec):
                return value
            dtype = getattr(torch, value.dtype)
            flat = torch.empty(value.nbytes // dtype.itemsize, dtype=dtype, device=device)
            storage = self.trace.storage(flat, "input")
            content = next(contents, None)
            if content is not None:
                self.trace.shadows.set(storage.number, content)
            return flat.as_strided(value.shape, value.stride, value.offset)

        return list(tree_map(made, list(values), is_leaf=lambda part: isinstance(part, TensorSpec)))

    def _plan_of(self, number: int, bound: Bound) -> LaunchPlan | CarriedDataError:
        target, version = self.request.gpu.target, triton.__version__
        try:
            plan = make_plan(self.trace, self.init, self.runs[:number], self.runs[number], bound, target, version)
        except CarriedDataError as carried:
            return carried
        return plan

    def _agreed(self, plans: Sequence[LaunchPlan | CarriedDataError]) -> LaunchPlan:
        """The second call's plan, where the calls after it do the same and none plays back what another stored."""
        counts = [sum(1 for _ in launches(run.steps)) for run in self.runs]
        noted = any(note.kind == "graph" for run in self.runs for note in run.notes)
        for number in range(1, len(plans)):
            before, plan = plans[number - 1], plans[number]
            packed = 0 if isinstance(plan, CarriedDataError) else sum(1 for _ in launches(plan.prologue))
            fewer = counts[number] + packed < counts[number - 1] and not (noted and number == 1)
            if fewer:
                reason = (
                    f"{counts[number - 1]} launches in one call of forward, {counts[number]} in a later one: "
                    "a stored result is played back"
                )
                raise _Judged(Status.CHEATED, reason)
            if isinstance(plan, CarriedDataError):
                raise _Judged(Status.UNSUPPORTED, str(plan), plan.line)
            if number > 1 and isinstance(before, LaunchPlan):
                difference, line = first_difference(before, plan)
                if difference:
                    raise _Judged(Status.UNSUPPORTED, f"calls of forward do not do the same: {difference}", line)
        steady = plans[1]
        assert isinstance(steady, LaunchPlan)
        return steady


def launches(steps: Sequence[Step]) -> Iterator[Any]:
    """Launches among steps; a tuning group counts as its first variant."""
    return (step for step in plain_steps(tuple(steps)) if isinstance(step, Launch))


def _flat_outputs(value: Any) -> list[Any]:
    return [part for part in tree_flatten(value)[0] if part is not None]


def load_module(code: str) -> ModuleType:
    """Execute a candidate's text as a module that inspects like a file, without one. Judged where it is no program."""
    linecache.cache[CANDIDATE_FILE] = (len(code), None, code.splitlines(keepends=True), CANDIDATE_FILE)
    module = ModuleType(_MODULE)
    module.__file__ = CANDIDATE_FILE
    sys.modules[_MODULE] = module
    try:
        compiled = compile(code, CANDIDATE_FILE, "exec", dont_inherit=True)
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", 0) or 0
        raise _Judged(Status.REJECTED, f"not Python: {getattr(error, 'msg', error)}", line, Stage.AST) from None
    exec(compiled, module.__dict__)
    if not isinstance(getattr(module, "ModelNew", None), type):
        raise _Judged(Status.REJECTED, "the code does not define a class ModelNew", 0, Stage.AST)
    return module


_WARM_CODE = """
import torch
import torch.nn as nn
import triton
import triton.language as tl


@triton.jit
def warm_kernel(x_ptr, o_ptr, n, eps, BLOCK: tl.constexpr):
    row = tl.program_id(0)
    cols = tl.arange(0, BLOCK)
    x = tl.load(x_ptr + row * n + cols, mask=cols < n, other=0.0)
    x = x - tl.max(x, axis=0)
    y = tl.exp(x) / (tl.sum(tl.exp(x), axis=0) + eps)
    w = tl.dot(y[:, None] + tl.zeros((BLOCK, 16), tl.float32), tl.zeros((16, 16), tl.float32))
    tl.store(o_ptr + row * n + cols, y + tl.sum(w, axis=1), mask=cols < n)


class ModelNew(nn.Module):
    def forward(self, x):
        out = torch.empty_like(x.contiguous())
        rows, cols = x.shape
        warm_kernel[(rows,)](x, out, cols, 1e-5, BLOCK=triton.next_power_of_2(cols), num_warps=4)
        return out.view(rows, cols).to(torch.float32)
"""

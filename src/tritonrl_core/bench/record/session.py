"""One recording of a candidate: load its module, make its model, call it again and again, and compare what it did.

Runs in the recording child, inside the stand-ins that `recorder` puts up.
"""

from __future__ import annotations

import io
import linecache
import sys
from collections.abc import Iterator, Sequence
from types import ModuleType
from typing import Any

import torch
import triton
from torch._subclasses.fake_tensor import FakeTensor
from torch.utils._pytree import tree_flatten, tree_map

from tritonrl_core.bench.plan.flow import access
from tritonrl_core.bench.plan.schema import Launch, LaunchPlan, Step, TensorRef, plain_steps
from tritonrl_core.bench.record.device_stand_in import DEVICE
from tritonrl_core.bench.record.explain import failure as failure_of
from tritonrl_core.bench.record.parameters import Created, match, named_tensors
from tritonrl_core.bench.record.planner import Bound, CarriedDataError, Run, first_difference, make_plan
from tritonrl_core.bench.record.request import Arguments, RecordRequest, TensorSpec, specs_in
from tritonrl_core.bench.record.trace import CANDIDATE_FILE, Trace, UnsupportedCallError
from tritonrl_core.types import Stage, Status

MODULE = "candidate"


class Judged(Exception):  # noqa: N818 - a verdict, not an error
    def __init__(self, status: Status, reason: str, line: int = 0, stage: Stage = Stage.RECORD) -> None:
        super().__init__(reason)
        self.failure = failure_of(status, stage, reason, line)


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


class Session:
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
            trace.follows = True

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
            raise Judged(Status.RUNTIME_ERROR, "ModelNew is not a torch.nn.Module")
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
        self.trace.keeps_launches = False
        try:
            with self.trace.region("other"):
                if other.init != self.request.arguments.init:
                    model = self._make(module, other, Created())
                self.keep.append(model(*self._tensors(other.forward, DEVICE)))
        except Judged:
            raise
        except Exception:  # noqa: BLE001 - the candidate's own, and not what this case is about
            return
        finally:
            self.trace.keeps_launches = True

    def _output(self, value: Any) -> TensorRef | int | float | bool:
        if isinstance(value, torch.Tensor):
            if not isinstance(value, FakeTensor):
                raise UnsupportedCallError("forward returned a tensor that it did not compute")
            return self.trace.ref(value)
        if isinstance(value, bool | int | float):
            return value
        raise Judged(Status.RUNTIME_ERROR, f"forward returned a {type(value).__name__}")

    def _tensors(self, values: Sequence[Any], device: torch.device, known: Sequence[bytes] = ()) -> list[Any]:
        """New fake tensors for the specifications in `values`; each has memory of its own, and its known values."""
        contents = iter(known)

        def made(value: Any) -> Any:
            if not isinstance(value, TensorSpec):
                return value
            tensor = _new_tensor(value, device)
            storage = self.trace.storage(tensor, "input")
            content = next(contents, None)
            if content is not None:
                self.trace.shadows.set(storage.number, content)
            return tensor

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
                raise Judged(Status.CHEATED, reason)
            if isinstance(plan, CarriedDataError):
                raise Judged(Status.UNSUPPORTED, str(plan), plan.line)
            if number > 1 and isinstance(before, LaunchPlan):
                difference, line = first_difference(before, plan)
                if difference:
                    raise Judged(Status.UNSUPPORTED, f"calls of forward do not do the same: {difference}", line)
        steady = plans[1]
        assert isinstance(steady, LaunchPlan)
        return steady


def _new_tensor(spec: TensorSpec, device: torch.device) -> torch.Tensor:
    """A tensor in memory of its own, in one call where that has the size of what torch would take for such a tensor."""
    dtype = getattr(torch, spec.dtype)
    count = spec.nbytes // dtype.itemsize
    last = sum((size - 1) * stride for size, stride in zip(spec.shape, spec.stride, strict=True))
    if spec.offset == 0 and last == count - 1 and 0 not in spec.shape:
        return torch.empty_strided(spec.shape, spec.stride, dtype=dtype, device=device)
    return torch.empty(count, dtype=dtype, device=device).as_strided(spec.shape, spec.stride, spec.offset)


def launches(steps: Sequence[Step]) -> Iterator[Any]:
    """Launches among steps; a tuning group counts as its first variant."""
    return (step for step in plain_steps(tuple(steps)) if isinstance(step, Launch))


def _flat_outputs(value: Any) -> list[Any]:
    return [part for part in tree_flatten(value)[0] if part is not None]


def load_module(code: str) -> ModuleType:
    """Execute a candidate's text as a module that inspects like a file, without one. Judged where it is no program."""
    # As Python counts them: `splitlines` also ends lines where Python does not, and Triton would read another function.
    lines = io.StringIO(code, newline=None).readlines()
    linecache.cache[CANDIDATE_FILE] = (len(code), None, lines, CANDIDATE_FILE)
    module = ModuleType(MODULE)
    module.__file__ = CANDIDATE_FILE
    sys.modules[MODULE] = module
    try:
        compiled = compile(code, CANDIDATE_FILE, "exec", dont_inherit=True)
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", 0) or 0
        raise Judged(Status.REJECTED, f"not Python: {getattr(error, 'msg', error)}", line, Stage.AST) from None
    exec(compiled, module.__dict__)
    if not isinstance(getattr(module, "ModelNew", None), type):
        raise Judged(Status.REJECTED, "the code does not define a class ModelNew", 0, Stage.AST)
    return module

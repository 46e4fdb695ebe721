"""Replays a launch plan on the CPU, in a confined child: ATen calls by PyTorch, launches by the machine.

`warm()` prepares the process that children are forked from; `run()` is one child's job. The child has the plan and its
buffers and nothing else: no Python of the candidate's, no reference, no expected value. What it leaves in the buffers
is judged by the parent after it is dead.
"""

from __future__ import annotations

import gc
import json
import traceback
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from tritonrl_core.bench.interpret.memory import Shared
from tritonrl_core.bench.machine import launch as machine
from tritonrl_core.bench.machine.frame import NotCarriedOutError
from tritonrl_core.bench.machine.memory import OutOfBoundsError, Segment, facts
from tritonrl_core.bench.machine.operations import KernelStopError
from tritonrl_core.bench.machine.values import UnknownElementError
from tritonrl_core.bench.plan.check import PlanLimits, validate
from tritonrl_core.bench.plan.read import PlanError
from tritonrl_core.bench.plan.schema import Kernel, Launch, LaunchPlan, TensorRef, plain_steps
from tritonrl_core.bench.plan.ttir_text import UnknownTextError
from tritonrl_core.bench.processes import wire
from tritonrl_core.bench.record.request import joined_parts
from tritonrl_core.bench.walk import Walk, seeded
from tritonrl_core.errors import InfraError
from tritonrl_core.types import Status

CHECKED = PlanLimits(memory_bytes=1 << 44, constant_bytes=1 << 30, text_bytes=1 << 30)
"""The parent has held the plan to the real limits."""

FIRST_ADDRESS = 1 << 32

WARM_UP = """
module {
  tt.func public @warm(%arg0: !tt.ptr<f32>, %arg1: i32) attributes {noinline = false} {
    %cst = arith.constant dense<0.000000e+00> : tensor<16xf32>
    %0 = tt.get_program_id x : i32
    %1 = tt.make_range {end = 16 : i32, start = 0 : i32} : tensor<16xi32>
    %2 = tt.splat %arg1 : i32 -> tensor<16xi32>
    %3 = arith.cmpi slt, %1, %2 : tensor<16xi32>
    %4 = tt.splat %arg0 : !tt.ptr<f32> -> tensor<16x!tt.ptr<f32>>
    %5 = tt.addptr %4, %1 : tensor<16x!tt.ptr<f32>>, tensor<16xi32>
    %6 = tt.load %5, %3, %cst : tensor<16x!tt.ptr<f32>>
    %7 = math.exp %6 : tensor<16xf32>
    %8 = "tt.reduce"(%7) <{axis = 0 : i32}> ({
    ^bb0(%arg2: f32, %arg3: f32):
      %10 = arith.addf %arg2, %arg3 : f32
      tt.reduce.return %10 : f32
    }) : (tensor<16xf32>) -> f32
    %9 = tt.splat %8 : f32 -> tensor<16xf32>
    tt.store %5, %9, %3 : tensor<16x!tt.ptr<f32>>
    tt.return
  }
}
"""


class StepError(Exception):
    """A step of the plan could not be carried out; the reason is for the verdict."""

    def __init__(self, status: Status, reason: str) -> None:
        super().__init__(reason)
        self.status = status


def warm() -> None:
    """Import and exercise what every child will need."""
    torch.set_num_threads(1)
    np.seterr(all="ignore")
    for dtype in (torch.float32, torch.bfloat16):
        torch.ones(4, 4, dtype=dtype).clone().to(torch.float16).contiguous()
    segment = Segment(FIRST_ADDRESS, np.zeros(64, dtype=np.uint8))
    ref = TensorRef(0, (16,), (1,), 0, "float32")
    machine.run(Kernel("warm", "warm", WARM_UP, {}, _warm_params()), (2, 1, 1), (ref, 9), lambda number: segment)
    torch.from_numpy(np.matmul(np.ones((2, 16, 16), np.float32), np.ones((2, 16, 16), np.float32)))
    gc.collect()


def _warm_params() -> Any:
    from tritonrl_core.bench.plan.schema import Param

    return (Param("p", "*fp32"), Param("n", "i32"))


def run(request: int, plan: int, *arenas: int) -> bytes:
    """One plan on one case or several: `request` holds a JSON object for each, `plan` the encoded plan, `arenas` the
    buffers of each. Gives one record in JSON for each.
    """
    jobs = json.loads(wire.content(request))
    read = validate(wire.content(plan), CHECKED)
    if isinstance(read, PlanError):
        raise InfraError(f"a plan that had been checked is refused: {read.reason}")
    return joined_parts([_carried(read, job, arena) for job, arena in zip(jobs, arenas, strict=True)])


def _carried(plan: LaunchPlan, job: Mapping[str, Any], arena: int) -> bytes:
    """One case carried out, and the record of it."""
    walk = PlanWalk(plan, Shared(plan, arena), backwards=job["backwards"])
    record: dict[str, Any] = {}
    try:
        with torch.no_grad(), seeded(job["seed"]):
            walk.all(job["pick"], launches=job["launches"])
    except StepError as error:
        record = {"status": error.status, "reason": str(error)}
    record["launches"] = walk.done
    record["libdevice"] = sorted(walk.libdevice)
    return json.dumps(record).encode()


class PlanWalk(Walk):
    """A plan's steps on shared memory."""

    def __init__(self, plan: LaunchPlan, pages: Shared, *, backwards: bool) -> None:
        super().__init__(plan, torch.device("cpu"))
        self.done: list[Mapping[str, Any]] = []
        self.libdevice: set[str] = set()
        self._pages = pages
        self._backwards = backwards
        self._segments = [
            Segment(FIRST_ADDRESS + offset, pages.bytes[offset : offset + size]) for offset, size in pages.layout
        ]

    def all(self, pick: int, *, launches: bool) -> None:
        """The whole plan with this alternative of each tuning group. Raises `StepError` where a step does not work."""
        steps = [*plain_steps(self.plan.prologue, pick), *plain_steps(self.plan.steps, pick)]
        self.steps(steps, set(), launches=launches)

    def tensor(self, ref: TensorRef) -> torch.Tensor:
        return self._pages.tensor(ref)

    def bind(self, ref: TensorRef, out: torch.Tensor) -> None:
        self.tensor(ref).copy_(out)

    def call(self, call: Any, born: set[int]) -> None:
        self._pages.reached(call.line)
        try:
            super().call(call, born)
        except (RuntimeError, ValueError, TypeError, IndexError, NotImplementedError) as error:
            if "allocate" in str(error) and "memory" in str(error):
                raise MemoryError from error
            text = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise StepError(Status.RUNTIME_ERROR, f"line {call.line}: {call.name}: {text}") from None

    def launch(self, launch: Launch) -> None:
        self._pages.reached(launch.line)
        kernel = self.plan.kernels[launch.kernel]
        done = _carried_out(kernel, launch, self._segments.__getitem__, self._backwards)
        self.libdevice |= done.libdevice
        where = {"kernel": launch.kernel, "line": launch.line, "grid": list(launch.grid)}
        self.done.append({**where, **facts(done.traffic)})


def _carried_out(kernel: Kernel, launch: Launch, find: machine.Find, backwards: bool) -> machine.Done:
    """The boundary around the machine: what stops a kernel becomes a status and a reason with the line."""
    where = f"line {launch.line}: " if launch.line else ""
    try:
        return machine.run(kernel, launch.grid, launch.args, find, backwards=backwards)
    except OutOfBoundsError as error:
        raise StepError(Status.RUNTIME_ERROR, f"{where}{error}") from None
    except KernelStopError as error:
        raise StepError(Status.RUNTIME_ERROR, f"{where}kernel {kernel.name}: {error}") from None
    except (NotCarriedOutError, UnknownTextError, UnknownElementError, NotImplementedError) as error:
        raise StepError(Status.UNSUPPORTED, f"{where}kernel {kernel.name}: {error} cannot be run on a CPU") from None
    except (ValueError, TypeError, IndexError, KeyError, AttributeError, AssertionError, RecursionError) as error:
        at = traceback.extract_tb(error.__traceback__)[-1]
        what = f"{type(error).__name__} in {at.name}"
        raise StepError(Status.UNSUPPORTED, f"{where}kernel {kernel.name} cannot be run on a CPU ({what})") from None

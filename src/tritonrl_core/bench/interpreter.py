"""Runs a candidate in Triton's interpreter, on the CPU, in a child that has its code, its inputs and nothing else.

`warm()` prepares the process that children are forked from; `run()` is one child's job. What comes back is the outputs'
bytes and a record in JSON, both claims of the candidate's process: whether they are right is decided by the parent,
which never tells the child what is expected.
"""

from __future__ import annotations

import gc
import json
import linecache
import sys
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from tritonrl_core.bench import interpreter_device, interpreter_state, wire
from tritonrl_core.bench.aten_watch import AtenWatch
from tritonrl_core.bench.failures import Stop, describe, not_python
from tritonrl_core.bench.memory import View, dtype_name
from tritonrl_core.bench.targets import gpu_for
from tritonrl_core.types import Stage, Status

FILENAME = "candidate.py"

MOST_LAUNCHES = 256
"""Launches that are reported one by one; the rest only as a number."""

STEPS = ("start", "import", "construct", "forward", "outputs")
"""How far a child got; its index is the arena's progress."""

WARM_UP = '''
import torch, torch.nn as nn, triton, triton.language as tl

@triton.jit
def rows(x, y, n, B: tl.constexpr):
    i = tl.program_id(0)
    k = tl.arange(0, B)
    total = tl.zeros((B,), tl.float32)
    for start in range(0, n, B):
        total += tl.load(x + i * n + start + k, mask=start + k < n, other=0.0).to(tl.float32)
    tl.store(y + i, tl.sum(total, axis=0) + tl.max(tl.exp(total), axis=0))

@triton.jit
def product(a, b, c, K: tl.constexpr):
    m = tl.arange(0, 16)
    k = tl.arange(0, K)
    left = tl.load(a + m[:, None] * K + k[None, :])
    right = tl.load(b + k[:, None] * 16 + m[None, :])
    tl.store(c + m[:, None] * 16 + m[None, :], tl.dot(left, right))

class ModelNew(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(16, 16)

    def forward(self, x):
        y = torch.empty(x.shape[0], device=x.device, dtype=x.dtype)
        rows[(x.shape[0],)](x, y, x.shape[1], B=8)
        c = torch.empty(16, 16, device="cuda")
        product[(1,)](self.linear.weight, self.linear.weight, c, K=16)
        return y, c
'''

_state: dict[str, Any] = {}
"""The patched interpreter, made by `warm` and inherited by every child."""


def warm() -> None:
    """Import, patch and exercise everything that a candidate is likely to use."""
    from tritonrl_core.bench.interpreter_triton import Interpreter

    torch.set_num_threads(1)
    # Uninitialised memory is filled with NaN, or the largest integer: nothing can be right by being left alone.
    torch.use_deterministic_algorithms(True, warn_only=True)
    _state["interpreter"] = interpreter = Interpreter()
    interpreter.install()
    interpreter_device.install(gpu_for("sm_90"))
    for dtype in (torch.float32, torch.float16, torch.bfloat16):
        watch = AtenWatch(FILENAME, paused=lambda: False)
        inputs = [torch.ones(3, 20, dtype=dtype)]
        _execute(WARM_UP, [], inputs, {}, training=False, seed=0, reached=lambda step: None, watch=watch)
    gc.collect()


def run(request: int, arena: int) -> bytes:
    """Do one job: `request` holds its JSON, `arena` the tensors. Gives the record for the parent."""
    job = json.loads(wire.content(request))
    view = View(arena, job["layout"])
    interpreter = _state["interpreter"]
    meter = interpreter.meter = type(interpreter.meter)()
    watch = AtenWatch(FILENAME, paused=lambda: meter.current is not None)
    interpreter.backwards = job["backwards"]
    interpreter_device.install(gpu_for(job["target"]))
    record: dict[str, Any]
    try:
        outputs, unused = _execute(
            job["code"], view.decode(job["init_inputs"]), view.decode(job["inputs"]), view.decode(job["state"]),
            training=job["training"], seed=job["seed"], reached=view.reached, watch=watch,
        )
        view.write_outputs(outputs)
        record = {"outputs": [[list(output.shape), dtype_name(output.dtype)] for output in outputs], "unused": unused}
    except Stop as stop:
        record = {"status": stop.status, "stage": stop.stage, "reason": stop.reason}
    record["launches"] = [launch.facts() for launch in meter.launches[:MOST_LAUNCHES]]
    record["launch_count"] = len(meter.launches)
    record["aten"] = watch.lines
    record["libdevice"] = sorted(interpreter.libdevice)
    return json.dumps(record).encode()


def _execute(
    code: str, init_inputs: list[Any], inputs: list[Any], state: dict[str, Tensor], *,
    training: bool, seed: int, reached: Callable[[int], None], watch: AtenWatch,
) -> tuple[list[Tensor], list[str]]:  # fmt: skip
    """The candidate's whole life: import, construct, take parameters, run forward. Raises `Stop` or `MemoryError`."""
    with interpreter_device.OnCpu(), torch.no_grad():
        try:
            reached(1)
            model_class = _model_class(code)
            reached(2)
            with torch.enable_grad():
                model, unused = interpreter_state.construct(lambda: model_class(*init_inputs), state, seed)
            if not isinstance(model, nn.Module):
                raise Stop(Status.REJECTED, Stage.RECORD, "ModelNew is not a torch.nn.Module")
            model.train(training)
            reached(3)
            with watch:
                value = model(*inputs)
            reached(4)
            return _outputs(value), unused
        except Stop:
            raise
        except BaseException as error:  # noqa: BLE001 - the boundary around a candidate: it may raise anything
            raise describe(error, FILENAME, code) from None


def _model_class(code: str) -> Any:
    linecache.cache[FILENAME] = (len(code), None, code.splitlines(keepends=True), FILENAME)
    module = type(sys)("candidate")
    module.__file__ = FILENAME
    sys.modules["candidate"] = module  # pickling, dataclasses and `inspect` look it up there
    try:
        compiled = compile(code, FILENAME, "exec", dont_inherit=True)
    except (SyntaxError, ValueError) as error:
        raise not_python(error, FILENAME, code) from None
    try:
        exec(compiled, module.__dict__)
    except MemoryError:
        raise
    except BaseException as error:  # noqa: BLE001 - as above, while it is being imported
        raise describe(error, FILENAME, code, importing=True) from None
    if not callable(model_class := module.__dict__.get("ModelNew")):
        raise Stop(Status.REJECTED, Stage.AST, "the code defines no class ModelNew")
    return model_class


def _outputs(value: Any) -> list[Tensor]:
    """Tensors in a value, in order, as a reference's outputs are taken."""
    if isinstance(value, Tensor):
        return [value.detach().as_subclass(Tensor)]
    if isinstance(value, bool | int | float):
        return [torch.tensor(value)]
    if isinstance(value, list | tuple):
        return [tensor for part in value for tensor in _outputs(part)]
    if isinstance(value, dict):
        return [tensor for part in value.values() for tensor in _outputs(part)]
    if value is None:
        return []
    raise Stop(Status.RUNTIME_ERROR, Stage.RECORD, f"forward returned a {type(value).__name__}, not a tensor")

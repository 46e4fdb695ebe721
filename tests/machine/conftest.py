"""Kernels written in Triton, compiled to TTIR in a process of their own, and carried out by the machine in this one."""

import json
import os

import numpy as np
import pytest
import torch

from tritonrl_core.bench.machine import launch as machine
from tritonrl_core.bench.machine.memory import Segment
from tritonrl_core.bench.plan.schema import LaunchPlan
from tritonrl_core.bench.processes import wire
from tritonrl_core.bench.processes.forkserver import RECORD, ForkServer
from tritonrl_core.bench.record.request import Arguments, RecordRequest, read_recording, request_data, tensor_spec
from tritonrl_core.bench.targets import gpu_for
from tritonrl_core.types import Limits

CODE = """
import torch
import torch.nn as nn
import triton
import triton.language as tl
from triton.language.extra import libdevice

{helpers}

@triton.jit
def kernel(x, y, n, f, B: tl.constexpr):
    row = tl.program_id(0)
    k = tl.arange(0, B)
    at = row * B + k
    {body}

class ModelNew(nn.Module):
    def forward(self, x, f):
        y = torch.empty({shape}, device=x.device, dtype=torch.{dtype})
        kernel[({programs},)](x, y, {programs}, f, B={block})
        return y
"""


@pytest.fixture(scope="session")
def server():
    server = ForkServer(RECORD, workers=1)
    yield server
    server.close()


@pytest.fixture(scope="session")
def plan_of(server):
    def plan_of(code, *inputs):
        specs = tuple(tensor_spec(part) if isinstance(part, torch.Tensor) else part for part in inputs)
        request = RecordRequest(code, Arguments((), specs), {}, gpu_for("sm_90"))
        fd = wire.memfd("request", json.dumps(request_data(request)).encode())
        try:
            result = server.run([fd], Limits(wall_s=60, cpu_s=60))
        finally:
            os.close(fd)
        assert result.outcome == "ok", result
        plan = read_recording(result.payload)
        assert isinstance(plan, LaunchPlan), plan
        return plan

    return plan_of


@pytest.fixture(scope="session")
def carried(plan_of):
    """carried(body, x, ...) -> what the kernel leaves in `y`, which is poison before; `row` is the program, `k` a range
    of `B`, `at` its place in a matrix with rows of `B`.
    """

    def carried(body, x, f=2.5, *, helpers="", block=None, shape=None, dtype="float32", backwards=False):
        programs, block = x.shape[0], block or x.shape[-1]
        code = CODE.format(helpers=helpers, body=body.replace("\n", "\n    "), programs=programs, block=block,
                           shape=tuple(shape or (programs, block)), dtype=dtype)  # fmt: skip
        plan = plan_of(code, x, f)
        np.seterr(all="ignore")
        given = x.contiguous().view(torch.uint8).numpy().reshape(-1).copy()
        data = [given, np.full(plan.buffers[1].nbytes, 0xFF, np.uint8)]
        segments = [Segment(1 << 20, data[0]), Segment(1 << 21, data[1])]
        (launch,) = plan.launches()
        done = machine.run(plan.kernels[0], launch.grid, launch.args, segments.__getitem__, backwards=backwards)
        carried.traffic = done.traffic
        return torch.from_numpy(data[1]).view(getattr(torch, dtype)).view(plan.outputs[0].shape)

    return carried

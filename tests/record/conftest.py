"""A warm recorder in a process of its own: its stand-ins for the device would be in the way of other tests."""

import json
import os
from collections.abc import Callable, Iterator

import pytest

from tritonrl_core.bench.plan.schema import LaunchPlan
from tritonrl_core.bench.processes import wire
from tritonrl_core.bench.processes.forkserver import RECORD, ForkServer
from tritonrl_core.bench.record.request import (
    Arguments,
    RecordFailure,
    RecordRequest,
    TensorSpec,
    read_recording,
    request_data,
)
from tritonrl_core.bench.targets import gpu_for
from tritonrl_core.types import Limits

HEAD = """
import torch
import torch.nn as nn
import triton
import triton.language as tl

"""
Recorded = LaunchPlan | RecordFailure


def spec(*shape: int, dtype: str = "float32", size: int = 4) -> TensorSpec:
    """A contiguous tensor of this shape."""
    strides, count = [], 1
    for part in reversed(shape):
        strides.append(count)
        count *= part
    return TensorSpec(shape, tuple(reversed(strides)), 0, dtype, count * size)


@pytest.fixture(scope="session")
def recorder_server() -> Iterator[ForkServer]:
    server = ForkServer(RECORD, workers=1)
    yield server
    server.close()


@pytest.fixture(scope="session")
def recorded(recorder_server: ForkServer) -> Callable[..., Recorded]:
    """Record a candidate: code (without the usual imports), inputs of forward, and what a request may hold besides."""

    def run(code: str, *inputs: object, init: tuple = (), state: dict | None = None, **more: object) -> Recorded:
        gpu = gpu_for(str(more.pop("target", "sm_90")))
        values = more.pop("values", None)
        request = RecordRequest(HEAD + code, Arguments(init, inputs), state or {}, gpu, **more)
        fds = [wire.memfd("request", json.dumps(request_data(request)).encode())]
        if values is not None:
            fds.append(wire.memfd("values", values))
        try:
            result = recorder_server.run(fds, Limits(wall_s=60, cpu_s=60))
        finally:
            for fd in fds:
                os.close(fd)
        assert result.outcome == "ok", result
        return read_recording(result.payload)

    return run

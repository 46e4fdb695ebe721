"""The replay worker: a trusted process that owns one GPU and runs no candidate Python.

`python -m tritonrl_core.bench.replay_worker FD DEVICE`, started by `replay_pool`. One job at a time: a message with a
descriptor that holds the job as JSON; the answer is JSON in a descriptor. A fault of the device is answered, if the
process still can, and then it ends: its context is beyond use.
"""

from __future__ import annotations

import base64
import json
import os
import socket
import sys
import threading
import time
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from tritonrl_core.bench import wire
from tritonrl_core.bench.compile_request import BuildFailure, CompiledKernel, built_bytes, read_built
from tritonrl_core.bench.plan import LaunchPlan, encode
from tritonrl_core.bench.plan_check import PlanLimits, validate
from tritonrl_core.errors import InfraError, TaskError
from tritonrl_core.types import InputCase, Policy, Task, TimingProtocol

OUTSIDE = PlanLimits(memory_bytes=1 << 44, constant_bytes=1 << 30, text_bytes=1 << 30)
"""The parent has checked the plan against the real limits."""


def job_bytes(do: str, task: Task, case: InputCase, plan: LaunchPlan, built: Sequence[CompiledKernel | None],
              criterion: str, precision: str, protocol: TimingProtocol | None = None,
              known: Mapping[str, Any] | None = None) -> bytes:  # fmt: skip
    """A job for the worker: `do` is `check` or `time`; `known` are the samples of baselines measured before."""
    binaries = built_bytes([BuildFailure("") if kernel is None else kernel for kernel in built])
    return json.dumps({
        "do": do, "task": asdict(task), "case": asdict(case), "plan": encode(plan).decode(),
        "built": base64.b64encode(binaries).decode(), "criterion": criterion, "precision": precision,
        "protocol": None if protocol is None else asdict(protocol), "known": dict(known or {}),
    }).encode()  # fmt: skip


def values_job(task: Task, case: InputCase) -> bytes:
    """A job that asks for a case's values as this device makes them."""
    return json.dumps({"do": "values", "task": asdict(task), "case": asdict(case)}).encode()


def main(arguments: list[str]) -> int:
    """Serve jobs until the parent hangs up."""
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    control = socket.socket(fileno=int(arguments[0]))
    import torch

    from tritonrl_core.bench.replay_check import Bench

    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    device = torch.device(arguments[1])
    bench = Bench(device)
    wire.send(control, {"ready": True, "name": _name(device)})
    while True:
        try:
            _, fds = wire.receive(control)
        except wire.Disconnected:
            return 0
        began = time.perf_counter()
        data = wire.content(fds[0])
        os.close(fds[0])
        answer = _do(bench, json.loads(data))
        answer["worker_seconds"] = time.perf_counter() - began
        payload = wire.memfd("tritonrl-answer", json.dumps(answer).encode())
        wire.send(control, {"answer": True}, [payload])
        os.close(payload)
        if answer.get("fault") or answer.get("replace_worker"):
            os._exit(0)


def _name(device: Any) -> str:
    import torch

    if device.type != "cuda":
        return "CPU"
    torch.cuda.synchronize()
    return str(torch.cuda.get_device_properties(0).name)


def _end_with(parent: int) -> None:
    """End when the parent is gone, also in the middle of a kernel that never ends."""
    while os.getppid() == parent:
        time.sleep(1.0)
    os._exit(0)


def _do(bench: Any, data: Mapping[str, Any]) -> dict[str, Any]:
    """One job. The boundary around it: what goes wrong is named, with whose fault it is."""
    import torch

    from tritonrl_core.bench.replay_check import DeviceFaultError
    from tritonrl_core.bench.replay_time import measure
    from tritonrl_core.bench.replayer import MaterialsDifferError

    try:
        if data["do"] == "values":
            values = bench.values(_task(data["task"]), InputCase(**data["case"]))
            return {"values": base64.b64encode(values).decode()}
        job = _job(data)
        if data["do"] == "time":
            protocol = {**data["protocol"], "baselines": tuple(data["protocol"]["baselines"])}
            return measure(bench, job, TimingProtocol(**protocol), data["known"])
        return dict(bench.check(job))
    except DeviceFaultError as error:
        return {"fault": str(error)}
    except TaskError as error:
        return {"task_error": error.message, "remedy": error.remedy}
    except torch.OutOfMemoryError as error:
        torch.cuda.empty_cache()
        return {"memory": str(error).splitlines()[0][:300]}
    except (InfraError, MaterialsDifferError) as error:
        return {"infra": str(error)[:500]}
    except Exception as error:  # noqa: BLE001 - a fault of ours in a process of ours: said, not hidden
        where = traceback.extract_tb(error.__traceback__)[-1]
        return {
            "infra": f"{type(error).__name__}: {str(error)[:500]} ({where.name}, line {where.lineno})",
            "fault": "ours",
        }


def _job(data: Mapping[str, Any]) -> Any:
    from tritonrl_core.bench.replay_check import Job

    plan = validate(data["plan"].encode(), OUTSIDE)
    if not isinstance(plan, LaunchPlan):
        raise InfraError(f"the plan did not survive its way to the worker: {plan.reason}")
    built = read_built(base64.b64decode(data["built"]), len(plan.kernels))
    if built is None:
        raise InfraError("the binaries did not survive their way to the worker")
    kernels = [part if isinstance(part, CompiledKernel) else None for part in built]
    return Job(_task(data["task"]), InputCase(**data["case"]), plan, kernels, data["criterion"], data["precision"])


def _task(data: Mapping[str, Any]) -> Task:
    policy = {**data["policy"], "forbidden_builtins": tuple(data["policy"]["forbidden_builtins"])}
    tuples = {name: tuple(data[name]) for name in ("dtypes", "mutated_buffers")}
    vary = {name: tuple(values) for name, values in data["vary"].items()}
    return Task(**{**data, **tuples, "policy": Policy(**policy), "vary": vary})


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""The replay worker: a trusted process that owns one GPU and runs no candidate Python.

`python -m tritonrl_core.bench.replay.worker DEVICE FD DOOR ROOM SHELF`, started by `replay.pool`. One job at a time: a
message with a descriptor that holds the job (`replay.job`); the answer is JSON in a descriptor. While it waits for
others that use the GPU (`replay.traffic`) it says so, because the parent's deadline is for its own work. A fault of the
device is answered, if the process still can, and then it ends: its context is beyond use.
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
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

from tritonrl_core.bench.processes import wire
from tritonrl_core.bench.replay.gpu_state import driver_version
from tritonrl_core.bench.replay.job import Message, read
from tritonrl_core.bench.replay.traffic import Traffic
from tritonrl_core.errors import InfraError, TaskError


def main(arguments: list[str]) -> int:
    """Serve jobs until the parent hangs up."""
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    control = socket.socket(fileno=int(arguments[1]))
    traffic = Traffic(list(map(int, arguments[2:4])), lambda waits: wire.send(control, {"waiting": waits}))
    import torch

    from tritonrl_core.bench.replay.check import Bench
    from tritonrl_core.bench.replay.shelf import Shelf

    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    device = torch.device(arguments[0])
    bench = Bench(device, Shelf(int(arguments[4])))
    bench.alone = traffic.alone
    if device.type == "cuda":
        bench.give_way = bench.cases.give_way = lambda: traffic.give_way(torch.cuda.synchronize)
    wire.send(control, {"ready": True, "name": _name(device), "driver": driver_version()})
    while True:
        try:
            _, fds = wire.receive(control)
        except wire.Disconnected:
            return 0
        began, waited = time.perf_counter(), traffic.waited_s
        data = wire.content(fds[0])
        os.close(fds[0])
        answer = _done(bench, traffic, read(data))
        answer["worker_seconds"] = time.perf_counter() - began
        answer["turn_seconds"] = traffic.waited_s - waited
        lost = answer.get("fault") or answer.get("replace_worker")
        if lost:
            bench.cases.disown()
        payload = wire.memfd("tritonrl-answer", json.dumps(answer).encode())
        wire.send(control, {"answer": True}, [payload])
        os.close(payload)
        if lost:
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


def _done(bench: Any, traffic: Traffic, message: Message) -> dict[str, Any]:
    """One job: read without the GPU, then done beside others, or by itself where it is large."""
    import torch

    steps: list[Callable[[], dict[str, Any]]] = []
    unread = _guarded(lambda: steps.append(_work(bench, message)))
    if unread is not None:
        return unread
    # A large case takes most of the device's memory: nobody else works beside it, and none of it is kept.
    with traffic.shared(), traffic.alone() if message.large else nullcontext():
        if bench.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(bench.device)
        answer = _guarded(steps[0]) or {}
        if bench.device.type == "cuda" and "candidate_us" in answer:
            answer["facts"]["bytes_at_most"] = torch.cuda.max_memory_allocated(bench.device)
        if message.large and "fault" not in answer:
            bench.cases.clear()
    return answer


def _work(bench: Any, message: Message) -> Callable[[], dict[str, Any]]:
    """What a job asks for, read as far as that needs no GPU. Raises `InfraError`."""
    from tritonrl_core.bench.replay.timing import measure
    from tritonrl_core.bench.replay.together import check_together

    do = message.header["do"]
    if do == "values":
        [case] = message.cases
        return lambda: {"values": base64.b64encode(bench.values(message.task, case)).decode()}
    jobs = message.jobs(bench.known)
    if do == "together":
        return lambda: check_together(bench, jobs)
    [job] = jobs
    if do == "time":
        return lambda: measure(bench, job, message.protocol, message.header["known"])
    return lambda: dict(bench.check(job))


def _guarded(work: Callable[[], dict[str, Any] | None]) -> dict[str, Any] | None:
    """The boundary around a job: what goes wrong is named, with whose fault it is."""
    import torch

    from tritonrl_core.bench.replay.check import DeviceFaultError
    from tritonrl_core.bench.walk import CallError, MaterialsDifferError

    try:
        return work()
    except DeviceFaultError as error:
        return {"fault": str(error)}
    except CallError as error:
        return {"fault": f"{error.where}: {str(error).strip().partition(chr(10))[0]}"}
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


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

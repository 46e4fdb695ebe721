"""The fork server: one result a job whatever the child does, nothing left behind, what dies is replaced."""

import os
import signal
import threading
import time
from pathlib import Path

import pytest

from tritonrl_core.bench.processes import wire
from tritonrl_core.bench.processes.forkserver import ForkServer, WorkerKind, WorkerLost, retry_once
from tritonrl_core.errors import InfraError, SandboxError
from tritonrl_core.types import Limits

LIMITS = Limits(wall_s=10, cpu_s=10, memory_bytes=1 << 30, output_bytes=1 << 20)


@pytest.fixture(scope="module")
def server():
    server = ForkServer(WorkerKind("interpret", "forkserver_entry"), workers=2)
    yield server
    server.close()


def call(server, order, limits=LIMITS, fds=()):
    fd = wire.memfd("order", order.encode())
    try:
        return server.run([fd, *fds], limits)
    finally:
        os.close(fd)


def descendants(server):
    """Every process of this server: its warm one and all below it, as {pid: stat}."""
    below, found = {server._warm._process.pid}, {}
    for name in sorted((name for name in os.listdir("/proc") if name.isdigit()), key=int):
        try:
            stat = Path("/proc", name, "stat").read_text()
        except OSError:
            continue
        if int(name) in below or int(stat.rpartition(")")[2].split()[1]) in below:
            below.add(int(name))
            found[int(name)] = stat
    return found


def test_answers_come_back(server):
    result = call(server, "echo hello")
    assert (result.outcome, result.payload, result.sandbox) == ("ok", b"hello", "none")
    assert 0 < result.seconds < LIMITS.wall_s


def test_beside_a_gpu_children_run_where_nothing_else_wants_to(server):
    assert call(server, "turns").payload.startswith(b"False")
    yielding = ForkServer(WorkerKind("interpret", "forkserver_entry"), workers=1, yields=True)
    try:
        assert call(yielding, "turns").payload.startswith(b"True")
    finally:
        yielding.close()


def test_descriptors_reach_the_child_and_no_others_do(server):
    extra = wire.memfd("extra", b"tensors")
    assert call(server, "fds", fds=[extra]).payload == b"[b'tensors']"
    os.close(extra)
    # 0, 1, 2, the order, the result pipe, and the one that listdir itself has open.
    assert len(eval(call(server, "open").payload)) == 6


def test_the_environment_has_no_secret(server, monkeypatch):
    names = eval(call(server, "environment").payload)
    assert not set(names) - {
        "PATH", "LD_LIBRARY_PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "PYTHONPATH", "PYTHONDONTWRITEBYTECODE",
        "PYTHONPYCACHEPREFIX", "HOME", "TRITON_HOME", "CUDA_VISIBLE_DEVICES", "GLIBC_TUNABLES", "OMP_NUM_THREADS",
        "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "TRITON_LIBCUDA_PATH",
    }


@pytest.mark.parametrize(
    ("order", "outcome", "detail"),
    [
        ("exit 0", "died", "code 0 before"),
        ("exit 3", "died", "code 3 before"),
        ("sysexit 0", "died", "SystemExit"),
        ("raise words", "died", "ValueError: words"),
        (f"signal {int(signal.SIGSEGV)}", "died", "SIGSEGV"),
        (f"signal {int(signal.SIGKILL)}", "died", "SIGKILL"),
        ("many 2000000", "output", "the limit is 1048576"),
        (f"memory {8 << 30}", "memory", "more than 1 GiB"),
    ],
)
def test_every_end_has_its_outcome(server, order, outcome, detail):
    result = call(server, order)
    assert result.outcome == outcome
    assert detail in result.detail


def test_a_long_payload_arrives_whole(server):
    assert call(server, "many 1000000").payload == b"x" * 1_000_000


def test_wall_time_is_limited(server):
    result = call(server, "sleep 100000", Limits(wall_s=0.3))
    assert (result.outcome, result.detail) == ("timeout", "no result after 0.3 s")


def test_cpu_time_is_limited(server):
    result = call(server, "spin", Limits(wall_s=100, cpu_s=1))
    assert (result.outcome, result.detail) == ("timeout", "more than 1 s of CPU time")


def test_output_without_end_goes_nowhere(server):
    assert call(server, "flood", Limits(wall_s=0.5)).outcome == "timeout"


@pytest.mark.parametrize("order", ["detach 100000", "exec 100000", "bomb 20"])
def test_nothing_outlives_its_job(server, order):
    call(server, "echo warm-up")
    assert call(server, order).outcome == "ok"
    while len(descendants(server)) > 3:  # the warm process and at most two dispatchers; else pytest's limit ends it
        time.sleep(0.02)


def test_a_dispatcher_that_dies_is_replaced(server):
    with pytest.raises(WorkerLost):
        call(server, "kill-dispatcher")
    assert call(server, "echo again").payload == b"again"


def test_a_warm_process_that_dies_is_replaced(server):
    with pytest.raises(WorkerLost):
        call(server, "kill-warm")
    assert call(server, "echo again").payload == b"again"
    assert call(server, "echo again").payload == b"again"


def test_a_job_is_retried_once_and_then_given_up():
    calls = []

    def attempt():
        calls.append(1)
        raise WorkerLost("gone")

    with pytest.raises(InfraError, match="lost twice"):
        retry_once(attempt)
    assert len(calls) == 2


def test_many_threads_share_the_dispatchers(server):
    answers = {}

    def work(number):
        answers[number] = call(server, f"echo {number}").payload

    threads = [threading.Thread(target=work, args=(number,)) for number in range(24)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == {number: str(number).encode() for number in range(24)}


def test_jobs_leave_no_descriptor_and_no_process(server):
    orders = ["echo a", "exit 1", "raise x", "many 2000000"]
    for order in orders:
        call(server, order)
    before = sorted(os.listdir("/proc/self/fd")), len(descendants(server))
    for order in orders * 15:
        call(server, order)
    assert (sorted(os.listdir("/proc/self/fd")), len(descendants(server))) == before


def test_closing_ends_every_process():
    server = ForkServer(WorkerKind("interpret", "forkserver_entry"), workers=1)
    call(server, "echo a")
    pids = list(descendants(server))
    assert len(pids) == 2
    server.close()
    server.close()
    while [pid for pid in pids if Path("/proc", str(pid)).exists()]:  # or until pytest's limit
        time.sleep(0.02)
    with pytest.raises(InfraError, match="closed"):
        call(server, "echo b")


def test_a_worker_that_cannot_start_says_why():
    server = ForkServer(WorkerKind("interpret", "no_such_module_here"), workers=1)
    with pytest.raises(InfraError, match="no_such_module_here"):
        call(server, "echo a")
    server.close()


def test_a_sandbox_that_refuses_the_first_job_ends_the_run():
    """The sandbox plugin knows no such profile; a run must not go on with one verdict of INFRA after the other."""
    pytest.importorskip("tritonrl_plugin_sandbox")
    from tritonrl_core.preset import load_preset

    preset = load_preset("baseline").with_plugins(sandbox={"require": "B"}).dump()
    server = ForkServer(WorkerKind("no_such_profile", "forkserver_entry"), workers=1, preset=preset)
    try:
        with pytest.raises(SandboxError, match="no sandbox for no_such_profile on this machine: there"):
            call(server, "echo hello")
        assert SandboxError.exit_code == 2
    finally:
        server.close()

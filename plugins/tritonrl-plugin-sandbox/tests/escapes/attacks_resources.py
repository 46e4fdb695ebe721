"""Classes 4, 10, 11, 12 and 13: the result channel, resources, tampering, the GPU, and the machinery."""

from __future__ import annotations

import ctypes
import fcntl
import glob
import mmap
import os
import resource
import struct
import sys
import threading
import time
from pathlib import Path

from attack import attack, call, libc, pipes

FORGED = b"FORGED"


def _frame(tag: bytes, body: bytes) -> bytes:
    return struct.pack("<cQ", tag, len(body)) + body


def _shout(w, data: bytes) -> None:
    for fd in pipes(w):
        try:
            os.write(fd, data)
        except OSError:
            continue


@attack("channel")
def read_a_leaked_descriptor(w):
    return os.pread(w.leaked_fd, 100, 0)


@attack("channel")
def find_any_other_descriptor(w):
    known = {0, 1, 2, w.output_fd, w.input_fd}
    found = []
    for fd in set(range(4096)) - known:
        try:
            os.fstat(fd)
        except OSError:
            continue
        found.append(fd)
    return len(found) > 1  # one is the pipe of the result


@attack("channel")
def claim_that_the_sandbox_refused(w):
    """A refusal is our own fault and costs the candidate nothing: it would be the best verdict after a pass."""
    _shout(w, _frame(b"x", b"could not be set up"))
    time.sleep(0.1)
    return b"honest"


@attack("channel")
def refuse_and_die(w):
    _shout(w, _frame(b"x", b"could not be set up"))
    os._exit(0)


@attack("channel")
def write_two_results(w):
    _shout(w, _frame(b"p", b"one" + FORGED) + _frame(b"p", b"two" + FORGED))
    return b"honest"


@attack("channel")
def write_after_the_result(w):
    threading.Thread(target=lambda: [_shout(w, FORGED * 2000) for _ in range(1000)], daemon=True).start()
    return b"honest"


@attack("channel")
def announce_more_than_it_sends(w):
    _shout(w, struct.pack("<cQ", b"p", 1000) + b"short")
    os._exit(0)


@attack("channel")
def announce_more_than_memory(w):
    _shout(w, struct.pack("<cQ", b"p", 1 << 62))
    time.sleep(0.2)
    return b"honest"


@attack("channel")
def send_giant_result(w):
    return b"x" * (50 << 20)


@attack("channel")
def flood_result_pipe(w):
    end = time.monotonic() + 1
    while time.monotonic() < end:
        _shout(w, b"\0" * 65536)


@attack("channel")
def raise_with_giant_text(w):
    raise ValueError("x" * (30 << 20))


@attack("channel")
def raise_with_text_that_is_no_text(w):
    raise ValueError("\ud800\x1b[2J")


@attack("channel", wall_s=0.5)
def close_every_descriptor(w):
    os.closerange(0, 4096)
    time.sleep(30)


@attack("channel", wall_s=0.5)
def block_the_parent_with_half_a_frame(w):
    _shout(w, b"p")
    time.sleep(30)


@attack("channel")
def flood_standard_output(w):
    for _ in range(64):
        os.write(1, b"x" * 65536)


@attack("channel")
def write_to_workers_error_stream(w):
    os.write(2, b"forged log line\n")


@attack("channel")
def read_workers_standard_input(w):
    """It is the connection to the verifier."""
    return len(os.read(0, 1)) > 0


@attack("channel")
def shrink_the_output(w):
    os.ftruncate(w.output_fd, 0)


@attack("channel")
def grow_the_output(w):
    os.ftruncate(w.output_fd, 1 << 30)


@attack("channel")
def overwrite_the_inputs(w):
    os.pwrite(w.input_fd, FORGED, 0)


@attack("channel")
def map_the_inputs_writable(w):
    mmap.mmap(w.input_fd, 4096)[:6] = FORGED


@attack("channel")
def unseal_the_inputs(w):
    os.pwrite(os.open(f"/proc/self/fd/{w.input_fd}", os.O_RDWR), FORGED, 0)


@attack("channel")
def enlarge_the_pipe(w):
    return fcntl.fcntl(pipes(w)[0], 1031, 1 << 20) > 65536


@attack("channel", wall_s=0.5)
def make_the_pipe_blocking(w):
    """The parent's end must not share its flags with the child's."""
    for fd in pipes(w):
        fcntl.fcntl(fd, fcntl.F_SETFL, 0)
    time.sleep(30)


@attack("resources")
def use_heap_memory(w):
    return len(bytearray(1 << 30)) == 1 << 30


@attack("resources")
def use_mapped_memory(w):
    memory = mmap.mmap(-1, 1 << 30, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    for offset in range(0, 1 << 30, 1 << 16):
        memory[offset] = 1
    return True


@attack("resources")
def use_shared_memory(w):
    memory = mmap.mmap(-1, 1 << 30)
    for offset in range(0, 1 << 30, 1 << 16):
        memory[offset] = 1
    return True


@attack("resources")
def use_stack(w):
    soft = resource.getrlimit(resource.RLIMIT_STACK)[1]
    resource.setrlimit(resource.RLIMIT_STACK, (1 << 31 if soft < 0 else soft, soft))
    return resource.getrlimit(resource.RLIMIT_STACK)[0] >= 1 << 30


@attack("resources", cpu_s=1.0, wall_s=3.0)
def spin(w):
    while True:
        pass


@attack("resources", cpu_s=1.0, wall_s=3.0)
def spin_in_threads(w):
    for _ in range(4):
        threading.Thread(target=spin, args=(w,), daemon=True).start()
    spin(w)


@attack("resources", wall_s=0.5)
def sleep_past_the_deadline(w):
    time.sleep(10)


@attack("resources", wall_s=0.5)
def hold_the_interpreter_lock(w):
    ctypes.PyDLL(None).sleep(10)


@attack("resources", wall_s=0.5, cpu_s=1.0)
def compute_without_end(w):
    pow(7, 7**8)


@attack("resources")
def fill_a_file(w):
    with open(f"{w.open_folder}/big", "wb") as file:
        for _ in range(100):
            file.write(b"x" * (1 << 20))


@attack("resources")
def make_a_sparse_file(w):
    with open(f"{w.open_folder}/sparse", "wb") as file:
        file.truncate(1 << 40)


@attack("resources")
def fill_many_files(w):
    for number in range(100):
        Path(f"{w.open_folder}/many{number}").write_bytes(b"x" * (1 << 16))


@attack("resources")
def use_up_inodes(w):
    for number in range(2000):
        os.close(os.open(f"{w.open_folder}/inode{number}", os.O_CREAT | os.O_WRONLY, 0o600))


@attack("resources", profile="compile", wall_s=5.0)
def compile_fills_one_file(w):
    with open(f"{os.environ['TMPDIR']}/big", "wb") as file:
        for _ in range(400):
            file.write(b"x" * (1 << 20))
    return True


@attack("resources", profile="compile", wall_s=8.0)
def compile_fills_many_files(w):
    for number in range(40):
        Path(f"{os.environ['TMPDIR']}/many{number}").write_bytes(b"x" * (10 << 20))
    return True


@attack("resources", profile="compile", wall_s=8.0)
def compile_uses_up_inodes(w):
    for number in range(20000):
        os.close(os.open(f"{os.environ['TMPDIR']}/i{number}", os.O_CREAT | os.O_WRONLY, 0o600))
    return True


@attack("resources", profile="compile", wall_s=8.0, twice=True)
def compile_buries_a_deep_folder(w):
    """Two thousand folders in one another, against whoever cleans up; the second run tells whether they are gone."""
    here = os.environ["TMPDIR"]
    if os.listdir(here):
        return w.again
    os.mkdir(f"{here}/0")
    for number in range(1, 2000):
        os.mkdir(f"{here}/{number}")
        os.rename(f"{here}/{number - 1}", f"{here}/{number}/{number - 1}")
    os.rename(f"{here}/1999", f"{here}/deep")
    return False


@attack("resources")
def use_up_descriptors(w):
    return len([os.dup(w.output_fd) for _ in range(2000)]) == 2000


@attack("resources")
def raise_limits(w):
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return True


@attack("resources")
def raise_limits_with_old_call(w):
    call(160, 7, struct.pack("QQ", 64, 64))
    return True


@attack("resources")
def dump_core(w):
    return resource.getrlimit(resource.RLIMIT_CORE)[1] != 0


@attack("resources")
def lock_memory(w):
    memory = mmap.mmap(-1, 16 << 12)
    if libc.mlock(ctypes.byref(ctypes.c_char.from_buffer(memory)), 16 << 12) != 0:
        raise OSError(ctypes.get_errno(), "mlock")
    return True


@attack("resources")
def real_time_priority(w):
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    return True


@attack("resources")
def raise_own_priority(w):
    os.setpriority(os.PRIO_PROCESS, 0, -5)
    return True


@attack("resources")
def many_pipes_full(w):
    count = 0
    for _ in range(400):
        _, writer = os.pipe()
        os.set_blocking(writer, False)
        os.write(writer, b"x" * 65536)
        count += 1
    return count == 400


@attack("resources")
def many_event_descriptors(w):
    return len([os.eventfd(0) for _ in range(500)]) == 500


@attack("resources", wall_s=1.0, cpu_s=1.0)
def compile_a_source_bomb(w):
    compile("(" * 90 + "x" + ")" * 90 + "\n" + "a = [" + "1," * 8_000_000 + "]", "bomb", "exec")


@attack("tampering", twice=True)
def change_the_dispatchers_modules(w):
    """What one candidate patches must not be there for the next; the proof is in the second run."""
    found = getattr(os, "_patched_by_candidate", False)
    os._patched_by_candidate = True
    time.perf_counter = lambda: 0.0
    sys.modules["tritonrl_plugin_sandbox.worker"].__dict__["refused"] = None
    return found and w.again


@attack("tampering")
def stop_the_clock(w):
    """The result's time is taken by the parent; the harness sees to it that it is not zero."""
    time.monotonic = time.perf_counter = time.time = lambda: 0.0
    time.sleep(0.05)
    return b"honest"


@attack("tampering", wall_s=0.5)
def replace_exit(w):
    """Return into the dispatcher's own code, as its twin."""
    os._exit = lambda code: None
    raise SystemExit(0)


@attack("tampering", wall_s=0.5)
def unwind_with_a_trace_function(w):
    os._exit = lambda code: time.sleep(30)
    sys.setprofile(lambda *_: None)
    return b"honest"


@attack("tampering")
def find_secrets_in_own_memory(w):
    """Every readable page of this process, looked through from inside; the harness knows what must not be there."""
    found = []
    for value in _every_object():
        if isinstance(value, (str, bytes)) and len(value) < 4096 and w.marker in str(value):
            found.append(str(value))
    return "".join(found)[: 32 << 10]


def _every_object():
    import gc

    for container in gc.get_objects():
        if isinstance(container, dict):
            yield from list(container.values())
        elif isinstance(container, (list, tuple)):
            yield from list(container)


@attack("tampering")
def read_another_candidates_text(w):
    """Sources of other candidates on disk, or of the run."""
    return Path(w.scores).read_bytes()


@attack("gpu")
def open_the_control_device(w):
    return os.open("/dev/nvidiactl", os.O_RDWR) >= 0


@attack("gpu")
def open_a_gpu(w):
    return os.open(next(iter(glob.glob("/dev/nvidia[0-9]*"))), os.O_RDWR) >= 0


@attack("gpu")
def open_unified_memory(w):
    return os.open("/dev/nvidia-uvm", os.O_RDWR) >= 0


@attack("gpu")
def read_driver_information(w):
    return bool(Path("/proc/driver/nvidia/version").read_text())


@attack("gpu")
def initialise_cuda(w):
    return ctypes.CDLL("libcuda.so.1").cuInit(0) == 0


@attack("gpu")
def initialise_nvml(w):
    return ctypes.CDLL("libnvidia-ml.so.1").nvmlInit_v2() == 0


@attack("gpu")
def open_a_render_node(w):
    return os.open(next(iter(glob.glob("/dev/dri/render*"))), os.O_RDWR) >= 0


@attack("gpu", profile="compile")
def compile_opens_the_control_device(w):
    return os.open("/dev/nvidiactl", os.O_RDWR) >= 0


@attack("infrastructure")
def kill_itself(w):
    os.kill(os.getpid(), 9)


@attack("infrastructure")
def crash(w):
    ctypes.string_at(8)


@attack("infrastructure")
def abort(w):
    os.abort()


@attack("infrastructure")
def exit_early(w):
    os._exit(0)


@attack("infrastructure")
def exhaust_the_c_stack(w):
    sys.setrecursionlimit(1 << 30)

    def deeper(n):
        return deeper(n + 1)

    deeper(0)


@attack("infrastructure")
def corrupt_its_heap(w):
    libc.free.argtypes = [ctypes.c_void_p]
    memory = libc.malloc(64)
    libc.free(memory)
    libc.free(memory)


@attack("infrastructure", wall_s=0.5)
def stop_itself(w):
    """A stopped child answers no more; the deadline must still end it."""
    os.kill(os.getpid(), 19)
    return call(234, os.getpid(), os.getpid(), 19) == 0


@attack("infrastructure")
def starve_the_dispatcher_of_time(w):
    os.sched_setaffinity(w.dispatcher, {0})

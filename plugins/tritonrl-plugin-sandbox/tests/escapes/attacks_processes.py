"""Classes 3, 5 and 6: memory of other processes, signals and priorities, new processes and programs."""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import mmap
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from attack import attack, call, libc, pipes


class _Vector(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


@attack("memory")
def read_verifiers_memory_file(w):
    with open(f"/proc/{w.verifier}/mem", "rb", 0) as file:
        file.seek(w.address)
        return file.read(w.length)


@attack("memory")
def read_bystanders_memory_file(w):
    with open(f"/proc/{w.bystander}/mem", "rb", 0) as file:
        file.seek(w.address)
        return file.read(w.length)


@attack("memory")
def read_parents_maps(w):
    return "heap" in Path(f"/proc/{w.dispatcher}/maps").read_text()


@attack("memory")
def write_own_memory_file(w):
    target = ctypes.create_string_buffer(b"AAAA")
    with open("/proc/self/mem", "r+b", 0) as file:
        file.seek(ctypes.addressof(target))
        file.write(b"BBBB")
    return target.value == b"BBBB"


@attack("memory")
def process_vm_readv(w):
    own = ctypes.create_string_buffer(w.length)
    here, there = _Vector(ctypes.addressof(own), w.length), _Vector(w.address, w.length)
    call(310, w.verifier, ctypes.byref(here), 1, ctypes.byref(there), 1, 0)
    return own.raw


@attack("memory")
def process_vm_writev(w):
    own = ctypes.create_string_buffer(b"overwritten", w.length)
    here, there = _Vector(ctypes.addressof(own), w.length), _Vector(w.scribble, w.length)
    call(311, w.verifier, ctypes.byref(here), 1, ctypes.byref(there), 1, 0)


@attack("memory")
def ptrace_attach(w):
    call(101, 16, w.bystander, 0, 0)
    os.waitpid(w.bystander, 0x40000000)
    call(101, 17, w.bystander, 0, 0)
    return True


@attack("memory")
def ptrace_seize(w):
    call(101, 0x4206, w.bystander, 0, 0)
    return True


@attack("memory")
def pidfd_getfd(w):
    descriptor = call(438, call(434, w.verifier, 0), w.secret_fd, 0)
    return os.pread(descriptor, 100, 0)


@attack("memory")
def open_verifiers_descriptor(w):
    return Path(f"/proc/{w.verifier}/fd/{w.secret_fd}").read_bytes()


@attack("memory")
def compare_with_kcmp(w):
    return call(312, w.verifier, w.bystander, 1, 0, 0) >= 0


@attack("memory")
def robust_list_of_another(w):
    head, length = ctypes.c_void_p(), ctypes.c_size_t()
    call(274, w.verifier, ctypes.byref(head), ctypes.byref(length))
    return True


@attack("memory")
def advise_anothers_memory(w):
    vector = _Vector(w.address & ~4095, 4096)
    return call(440, call(434, w.verifier, 0), ctypes.byref(vector), 1, 20, 0) >= 0


@attack("memory")
def move_anothers_pages(w):
    page, status = ctypes.c_void_p(w.address & ~4095), ctypes.c_int()
    return call(279, w.verifier, 1, ctypes.byref(page), None, ctypes.byref(status), 0) >= 0


@attack("memory")
def join_anothers_namespaces(w):
    call(308, call(434, w.verifier, 0), 0x04000000)
    return True


@attack("memory")
def become_traceable(w):
    """By anybody (where Yama restricts that), and with core dumps."""
    libc.prctl(0x59616D61, ctypes.c_ulong(2**64 - 1), 0, 0, 0)
    return call(157, 4, 1, 0, 0, 0) == 0


@attack("memory")
def find_anothers_address_through_stat(w):
    fields = Path(f"/proc/{w.dispatcher}/stat").read_text().rpartition(")")[2].split()
    return int(fields[25]) > 1


@attack("signals")
def signal_parent(w):
    os.kill(w.dispatcher, 0)
    return True


@attack("signals")
def signal_verifier(w):
    os.kill(w.verifier, 0)
    return True


@attack("signals")
def signal_everybody(w):
    os.kill(-1, 0)
    return True


@attack("signals")
def signal_bystander(w):
    os.kill(w.bystander, signal.SIGUSR1)


@attack("signals")
def stop_bystander(w):
    os.kill(w.bystander, signal.SIGSTOP)


@attack("signals")
def signal_bystander_by_pidfd(w):
    call(424, call(434, w.bystander, 0), int(signal.SIGUSR1), None, 0)


@attack("signals")
def signal_bystander_with_tgkill(w):
    call(234, w.bystander, w.bystander, int(signal.SIGUSR1))


@attack("signals")
def signal_bystander_with_tkill(w):
    call(200, w.bystander, int(signal.SIGUSR1))


@attack("signals")
def queue_signal_to_bystander(w):
    info = ctypes.create_string_buffer(128)
    ctypes.c_int.from_buffer(info).value = int(signal.SIGUSR1)
    ctypes.c_int.from_buffer(info, 8).value = -1
    call(129, w.bystander, int(signal.SIGUSR1), info)


@attack("signals")
def signal_bystander_through_sigio(w):
    reader, writer = os.pipe()
    fcntl.fcntl(reader, fcntl.F_SETOWN, w.bystander)
    fcntl.fcntl(reader, 10, int(signal.SIGUSR1))
    fcntl.fcntl(reader, fcntl.F_SETFL, os.O_ASYNC)
    os.write(writer, b"x")
    time.sleep(0.1)


@attack("signals")
def signal_through_an_inherited_pipe(w):
    """F_SETOWN on the result pipe, which the parent reads."""
    fcntl.fcntl(pipes(w)[0], fcntl.F_SETOWN, w.bystander)
    return True


@attack("signals")
def lower_bystanders_priority(w):
    os.setpriority(os.PRIO_PROCESS, w.bystander, 5)


@attack("signals")
def read_bystanders_priority(w):
    os.getpriority(os.PRIO_PROCESS, w.bystander)
    return True


@attack("signals")
def pin_bystander_to_a_core(w):
    os.sched_setaffinity(w.bystander, {0})


@attack("signals")
def find_processes_through_affinity(w):
    return bool(os.sched_getaffinity(w.bystander))


@attack("signals")
def limit_bystander(w):
    resource.prlimit(w.bystander, resource.RLIMIT_NOFILE, (64, 64))


@attack("signals")
def read_verifiers_limits(w):
    return bool(resource.prlimit(w.verifier, resource.RLIMIT_NOFILE))


@attack("signals")
def set_bystanders_io_priority(w):
    call(251, 1, w.bystander, (3 << 13) | 7)
    return True


@attack("signals", cpu_s=1.0, wall_s=3.0)
def ignore_the_cpu_limit(w):
    signal.signal(signal.SIGXCPU, signal.SIG_IGN)
    while True:
        pass


@attack("signals", wall_s=0.5)
def ignore_every_signal(w):
    for number in set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP}:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, set(signal.Signals))
    time.sleep(10)


@attack("processes")
def list_processes(w):
    return str(w.bystander) in os.listdir("/proc")


@attack("processes")
def fork(w):
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    return True


@attack("processes")
def vfork(w):
    pid = os.posix_spawn("/bin/true", ["true"], {})
    os.waitpid(pid, 0)
    return True


@attack("processes")
def clone_with_parent_as_sibling(w):
    pid = call(56, 0x00008000 | 17, 0, 0, 0, 0)
    if pid == 0:
        os._exit(0)
    return True


@attack("processes")
def clone3(w):
    arguments = (ctypes.c_uint64 * 11)()
    arguments[4] = 17
    pid = call(435, arguments, ctypes.sizeof(arguments))
    if pid == 0:
        os._exit(0)
    return True


@attack("processes")
def fork_two_hundred(w):
    count = 0
    for _ in range(200):
        pid = os.fork()
        if pid == 0:
            time.sleep(0.5)
            os._exit(0)
        count += 1
    return count == 200


def _survivor() -> None:
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            time.sleep(4)
            os._exit(0)
        os._exit(0)
    time.sleep(0.1)


@attack("processes")
def leave_a_detached_process(w):
    _survivor()


@attack("processes", profile="compile")
def compile_leaves_a_detached_process(w):
    _survivor()


@attack("processes", profile="compile")
def compile_leaves_a_process_in_its_group(w):
    for _ in range(3):
        if os.fork() == 0:
            time.sleep(4)
            os._exit(0)


def _hydra(depth: int, until: float) -> None:
    """Processes that keep forking and dying, a target that moves."""
    while time.monotonic() < until:
        if os.fork() != 0:
            os._exit(0)
        time.sleep(0.001)
    os._exit(0)


@attack("processes", profile="compile")
def compile_leaves_a_hydra(w):
    until = time.monotonic() + 4
    for head in range(6):
        if os.fork() == 0:
            with contextlib.suppress(OSError):
                os.setsid()
            _hydra(head, until)
    time.sleep(0.1)


@attack("processes")
def leave_its_process_group(w):
    os.setpgid(0, 0)
    return os.getpgid(0) == os.getpid()


@attack("processes", profile="compile")
def compile_leaves_its_process_group(w):
    pid = os.fork()
    if pid == 0:
        try:
            os.setpgid(0, 0)
            os._exit(7)
        except OSError:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7


@attack("processes")
def run_a_shell(w):
    return subprocess.run(["/bin/sh", "-c", "exit 7"], check=False).returncode == 7


@attack("processes", profile="compile")
def compile_runs_a_shell(w):
    return subprocess.run(["/bin/sh", "-c", "exit 7"], check=False).returncode == 7


@attack("processes", profile="compile")
def compile_runs_python(w):
    python = os.path.realpath(sys.executable)
    return subprocess.run([python, "-ISc", "raise SystemExit(7)"], check=False).returncode == 7


@attack("processes", profile="compile")
def compile_runs_a_program_through_the_loader(w):
    """The loader must be executable for ptxas; it maps any readable program, which stays as confined as its parent."""
    loader = os.path.realpath("/lib64/ld-linux-x86-64.so.2")
    return subprocess.run([loader, "/bin/true"], check=False).returncode == 0


@attack("processes")
def execute_in_place(w):
    for fd in pipes(w):
        os.set_inheritable(fd, True)  # or whoever waits for the result takes this for the end
    os.execv("/bin/sh", ["sh", "-c", f"echo x > {w.open_folder}/executed"])


@attack("processes")
def execute_from_memory(w):
    descriptor = os.memfd_create("program")
    os.write(descriptor, Path("/bin/true").read_bytes())
    pid = os.fork()
    if pid == 0:
        os.execve(descriptor, ["true"], {})
    return os.waitpid(pid, 0)[1] == 0


@attack("processes", profile="compile")
def compile_executes_from_memory(w):
    descriptor = os.memfd_create("program")
    os.write(descriptor, Path("/bin/true").read_bytes())
    pid = os.fork()
    if pid == 0:
        os.execve(descriptor, ["true"], {})
    return os.waitpid(pid, 0)[1] == 0


@attack("processes")
def execveat(w):
    for fd in pipes(w):
        os.set_inheritable(fd, True)
    arguments = (ctypes.c_char_p * 4)(b"sh", b"-c", f"echo x > {w.open_folder}/executed".encode(), None)
    call(322, -100, b"/bin/sh", arguments, None, 0)


@attack("processes")
def run_a_setuid_program(w):
    program = next(path for path in ("/bin/su", "/usr/bin/passwd", "/bin/mount") if os.path.exists(path))
    return subprocess.run([program, "--help"], capture_output=True, check=False).returncode == 0


@attack("processes")
def become_root(w):
    os.setresuid(0, 0, 0)
    return os.geteuid() == 0


@attack("processes")
def regain_capabilities(w):
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    data = (ctypes.c_uint32 * 6)(1 << 21, 1 << 21, 0, 0, 0, 0)  # CAP_SYS_ADMIN
    call(126, header, data)
    return True


@attack("processes")
def read_own_capabilities(w):
    """What is left to a child must be nothing that changes anything (reading installed software is allowed)."""
    header, data = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
    call(125, header, data)
    return bool(data[0] & ~(1 << 2))


@attack("processes", linger_s=0.5)
def run_after_the_result(w):
    """Change the answer when it has been given: from a process that stays, or else from a thread."""
    try:
        if os.fork() != 0:
            return
        os.setsid()
        time.sleep(0.3)
        os.write(w.output_fd, b"late")
        os._exit(0)
    except OSError:
        threading.Thread(target=lambda: (time.sleep(0.3), os.write(w.output_fd, b"late")), daemon=True).start()


@attack("processes")
def start_two_thousand_threads(w):
    """With tiny stacks, so that memory is not what stops it."""
    threading.stack_size(32768)
    gate = threading.Event()
    count = 0
    for _ in range(2000):
        threading.Thread(target=gate.wait, args=(1.0,), daemon=True).start()
        count += 1
    return count == 2000


@attack("processes")
def run_machine_code(w):
    """A foreign syscall ABI (int 0x80) from code of its own: 32-bit getpid."""
    memory = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    memory.write(b"\xb8\x14\x00\x00\x00\xcd\x80\xc3")
    function = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(memory)))
    return function() > 0


@attack("processes")
def x32_syscall(w):
    libc.syscall(ctypes.c_long(0x40000000 + 39))
    return ctypes.get_errno() != 38

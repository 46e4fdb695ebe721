"""Raw Linux calls that the standard library lacks: syscalls by name, prctl, mount, clone. No policy here.

Every function raises OSError with the kernel's reason; none retries or falls back.
"""

from __future__ import annotations

import ctypes
import os
import struct
from pathlib import Path
from typing import Any

from tritonrl_plugin_sandbox.tables import this_arch

PR_SET_PDEATHSIG, PR_GET_DUMPABLE, PR_SET_DUMPABLE, PR_SET_KEEPCAPS = 1, 3, 4, 8
PR_SET_NAME, PR_GET_NAME, PR_GET_SECCOMP, PR_CAPBSET_DROP = 15, 16, 21, 24
PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS, PR_GET_NO_NEW_PRIVS, PR_GET_TID_ADDRESS = 36, 38, 39, 40
PR_SET_VMA = 0x53564D41

CLONE_CHILD_CLEARTID, CLONE_CHILD_SETTID = 0x00200000, 0x01000000
CLONE_PARENT, CLONE_THREAD = 0x00008000, 0x00010000
CLONE_NEWNS, CLONE_NEWCGROUP, CLONE_NEWUTS, CLONE_NEWIPC = 0x00020000, 0x02000000, 0x04000000, 0x08000000
CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET, CLONE_NEWTIME = 0x10000000, 0x20000000, 0x40000000, 0x00000080
ANY_NAMESPACE = (
    CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC
    | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWTIME
)

MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC = 1, 2, 4, 8
MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE = 0x20, 0x1000, 0x4000, 0x40000

CAP_DAC_READ_SEARCH = 2
_CAPABILITY_VERSION_3 = 0x20080522
_SIGCHLD = 17

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long
# Through PyDLL the interpreter lock stays held across the call, as in os.fork.
_libc_locked = ctypes.PyDLL(None, use_errno=True)
_libc_locked.syscall.restype = ctypes.c_long


def mode_of(path: Path, *, follow: bool = True) -> int:
    """The mode of a file or folder; 0 where there is none or this user cannot get to it."""
    try:
        return path.stat(follow_symlinks=follow).st_mode
    except OSError:
        return 0


def syscall(name: str, *arguments: Any) -> int:
    """Make a syscall of this machine's table by name. Integers are passed as longs, anything else as it is."""
    return _checked(_libc.syscall(_number(name), *map(_argument, arguments)), name)


def prctl(option: int, value: int = 0) -> int:
    return _checked(_libc.prctl(ctypes.c_int(option), *map(ctypes.c_ulong, (value, 0, 0, 0))), f"prctl({option})")


def mount(source: str, target: str, kind: str | None, flags: int, data: str = "") -> None:
    encoded = None if kind is None else kind.encode()
    result = _libc.mount(source.encode(), target.encode(), encoded, ctypes.c_ulong(flags), data.encode() or None)
    _checked(result, f"mount on {target}")


def clone(flags: int) -> int:
    """Like `os.fork`, with clone flags (new namespaces). For single-threaded callers; returns 0 in the child.

    C-level fork handlers are not run, so no other thread may hold a lock. The C library caches a thread's id; it is
    kept right the way its own fork does it.
    """
    tid = _tid_address()
    if tid:
        flags |= CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID
    # x86-64 takes (flags, stack, parent tid, child tid, tls), aarch64 has the last two the other way round.
    arch = this_arch()
    tail = (0, tid) if arch is not None and arch.name == "aarch64" else (tid, 0)
    arguments = [ctypes.c_long(value) for value in (flags | _SIGCHLD, 0, 0, *tail)]
    number = _number("clone")
    ctypes.pythonapi.PyOS_BeforeFork()
    pid: int = _libc_locked.syscall(number, *arguments)
    if pid == 0:
        ctypes.pythonapi.PyOS_AfterFork_Child()
        return 0
    problem = ctypes.get_errno()
    ctypes.pythonapi.PyOS_AfterFork_Parent()
    if pid < 0:
        raise OSError(problem, f"clone: {os.strerror(problem)}")
    return pid


def set_capabilities(mask: int) -> None:
    """Make `mask` (bits of CAP_*, the first 32) the effective and permitted capabilities; nothing is inheritable."""
    header = ctypes.create_string_buffer(struct.pack("=Ii", _CAPABILITY_VERSION_3, 0), 8)
    data = ctypes.create_string_buffer(struct.pack("=6I", mask, mask, 0, 0, 0, 0), 24)
    syscall("capset", header, data)


def wipe_memory(start: int, end: int) -> None:
    ctypes.memset(ctypes.c_void_p(start), 0, end - start)


def initial_environment() -> tuple[int, int]:
    """Address range of the environment that this process was started with (it outlives changes of `os.environ`)."""
    fields = Path("/proc/self/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    return int(fields[47]), int(fields[48])  # env_start and env_end: fields 50 and 51, counted from the pid


def _tid_address() -> int:
    """Where the C library keeps this thread's id; 0 where the kernel does not tell."""
    address = ctypes.c_ulong(0)
    result = _libc.prctl(ctypes.c_int(PR_GET_TID_ADDRESS), ctypes.byref(address), 0, 0, 0)
    return address.value if result == 0 else 0


def _number(name: str) -> ctypes.c_long:
    arch = this_arch()
    if arch is None:
        raise OSError(38, f"{name}: no syscall table for this machine")
    return ctypes.c_long(arch.numbers[name])


def _argument(value: Any) -> Any:
    return ctypes.c_long(value) if isinstance(value, int) else value


def _checked(result: int, what: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result

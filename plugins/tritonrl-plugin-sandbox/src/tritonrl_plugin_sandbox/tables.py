"""Syscall numbers of the two architectures. Numbers only: what is allowed is decided in `profiles`.

x86-64 from the kernel's `syscall_64.tbl`, aarch64 from its generic table (which has no `open`, `fork`, `poll` and their
like). The aarch64 table is off until it has been tested on such a machine.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache


@dataclass(frozen=True, slots=True)
class Arch:
    """One architecture: the kernel's audit number for it, its syscalls, and whether the table was ever tested."""

    name: str
    audit: int
    numbers: Mapping[str, int]
    tested: bool


X86_64 = Arch(
    name="x86_64",
    audit=0xC000003E,
    tested=True,
    numbers={
        "read": 0, "write": 1, "open": 2, "close": 3, "stat": 4, "fstat": 5, "lstat": 6, "poll": 7, "lseek": 8,
        "mmap": 9, "mprotect": 10, "munmap": 11, "brk": 12, "rt_sigaction": 13, "rt_sigprocmask": 14,
        "rt_sigreturn": 15, "ioctl": 16, "pread64": 17, "pwrite64": 18, "readv": 19, "writev": 20, "access": 21,
        "pipe": 22, "select": 23, "sched_yield": 24, "mremap": 25, "mincore": 27, "madvise": 28, "dup": 32,
        "dup2": 33, "nanosleep": 35, "getpid": 39, "socket": 41, "connect": 42, "sendto": 44, "recvfrom": 45,
        "sendmsg": 46, "recvmsg": 47, "shutdown": 48, "bind": 49, "listen": 50, "getsockname": 51, "getpeername": 52,
        "socketpair": 53, "setsockopt": 54, "getsockopt": 55, "clone": 56, "fork": 57, "vfork": 58, "execve": 59,
        "exit": 60, "wait4": 61, "kill": 62, "uname": 63, "fcntl": 72, "flock": 73, "fsync": 74, "fdatasync": 75,
        "ftruncate": 77, "getcwd": 79, "chdir": 80, "rename": 82, "mkdir": 83, "rmdir": 84, "unlink": 87,
        "readlink": 89, "umask": 95, "gettimeofday": 96, "getrlimit": 97, "getrusage": 98, "sysinfo": 99,
        "times": 100, "getuid": 102, "getgid": 104, "geteuid": 107, "getegid": 108, "getppid": 110, "getpgrp": 111,
        "capset": 126, "sigaltstack": 131, "prctl": 157, "arch_prctl": 158, "mount": 165,
        "gettid": 186, "time": 201, "futex": 202, "sched_getaffinity": 204, "getdents64": 217, "set_tid_address": 218,
        "restart_syscall": 219, "fadvise64": 221, "clock_gettime": 228, "clock_getres": 229, "clock_nanosleep": 230,
        "exit_group": 231, "tgkill": 234, "waitid": 247, "openat": 257, "mkdirat": 258, "newfstatat": 262,
        "unlinkat": 263, "renameat": 264, "readlinkat": 267, "faccessat": 269, "pselect6": 270, "ppoll": 271,
        "unshare": 272, "set_robust_list": 273, "fallocate": 285, "accept4": 288, "dup3": 292, "pipe2": 293,
        "prlimit64": 302, "setns": 308, "getcpu": 309, "renameat2": 316, "seccomp": 317, "getrandom": 318,
        "membarrier": 324, "statx": 332, "rseq": 334, "open_tree": 428, "move_mount": 429, "fsopen": 430,
        "clone3": 435, "close_range": 436, "faccessat2": 439, "landlock_create_ruleset": 444,
        "landlock_add_rule": 445, "landlock_restrict_self": 446,
    },
)

AARCH64 = Arch(
    name="aarch64",
    audit=0xC00000B7,
    tested=False,
    numbers={
        "getcwd": 17, "dup": 23, "dup3": 24, "fcntl": 25, "ioctl": 29, "flock": 32, "mkdirat": 34, "unlinkat": 35,
        "renameat": 38, "mount": 40, "ftruncate": 46, "fallocate": 47, "faccessat": 48, "chdir": 49,
        "openat": 56, "close": 57, "pipe2": 59, "getdents64": 61, "lseek": 62, "read": 63, "write": 64, "readv": 65,
        "writev": 66, "pread64": 67, "pwrite64": 68, "pselect6": 72, "ppoll": 73, "readlinkat": 78, "newfstatat": 79,
        "fstat": 80, "fsync": 82, "fdatasync": 83, "capset": 91, "exit": 93, "exit_group": 94, "waitid": 95,
        "set_tid_address": 96, "unshare": 97, "futex": 98, "set_robust_list": 99, "nanosleep": 101,
        "clock_gettime": 113, "clock_getres": 114, "clock_nanosleep": 115, "sched_getaffinity": 123,
        "sched_yield": 124, "restart_syscall": 128, "kill": 129, "tgkill": 131, "sigaltstack": 132,
        "rt_sigaction": 134, "rt_sigprocmask": 135, "rt_sigreturn": 139, "times": 153, "uname": 160, "getrlimit": 163,
        "getrusage": 165, "umask": 166, "prctl": 167, "getcpu": 168, "gettimeofday": 169, "getpid": 172,
        "getppid": 173, "getuid": 174, "geteuid": 175, "getgid": 176, "getegid": 177, "gettid": 178, "sysinfo": 179,
        "socket": 198, "socketpair": 199, "bind": 200, "listen": 201, "connect": 203, "getsockname": 204,
        "getpeername": 205, "sendto": 206, "recvfrom": 207, "setsockopt": 208, "getsockopt": 209, "shutdown": 210,
        "sendmsg": 211, "recvmsg": 212, "brk": 214, "munmap": 215, "mremap": 216, "clone": 220, "execve": 221,
        "mmap": 222, "fadvise64": 223, "mprotect": 226, "mincore": 232, "madvise": 233, "accept4": 242, "wait4": 260,
        "prlimit64": 261, "setns": 268, "renameat2": 276, "seccomp": 277, "getrandom": 278, "membarrier": 283,
        "statx": 291, "rseq": 293, "open_tree": 428, "move_mount": 429, "fsopen": 430, "clone3": 435,
        "close_range": 436, "faccessat2": 439, "landlock_create_ruleset": 444, "landlock_add_rule": 445,
        "landlock_restrict_self": 446,
    },
)

ARCHES: Mapping[str, Arch] = {arch.name: arch for arch in (X86_64, AARCH64)}


@lru_cache(maxsize=1)
def this_arch() -> Arch | None:
    """The table of this machine, tested or not; None where there is none (a 32-bit Python counts as none)."""
    return ARCHES.get(os.uname().machine) if sys.maxsize > 1 << 32 else None

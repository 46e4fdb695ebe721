"""What each profile may do: its syscalls and the files it may read, write and execute. Data and how it is found.

`record` runs a candidate's Python, `interpret` its launch plan: they read installed software only, write nothing, start
no process (threads only, as the C library needs them). `compile` runs no candidate Python: it reads less, but starts
`ptxas` and has a scratch folder.
"""

from __future__ import annotations

import errno
import importlib.util
import os
import site
import stat
import sysconfig
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import tritonrl_core.errors

from tritonrl_plugin_sandbox import landlock
from tritonrl_plugin_sandbox.linux import (
    ANY_NAMESPACE,
    CLONE_PARENT,
    CLONE_THREAD,
    PR_GET_DUMPABLE,
    PR_GET_NAME,
    PR_GET_NO_NEW_PRIVS,
    PR_GET_SECCOMP,
    PR_SET_NAME,
    PR_SET_VMA,
    mode_of,
)
from tritonrl_plugin_sandbox.seccomp import OWN_PID, Check, Rules

CONFINED = ("record", "interpret", "compile")
DEVICES = ("/dev/null", "/dev/urandom", "/etc/ld.so.cache")
"""Single files that the software reads."""

_LOADERS = ("/lib64/ld-linux-x86-64.so.2", "/lib/ld-linux-aarch64.so.1")
"""The dynamic loader of either architecture; the C library lies beside what it is a link to."""


@dataclass(frozen=True, slots=True)
class Profile:
    """A profile by name: may it start processes, and its syscall rules."""

    name: str
    processes: bool
    rules: Rules



def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


_CALLS = _names("""
    read write close fstat stat lstat lseek pread64 pwrite64 readv writev newfstatat statx access faccessat faccessat2
    readlink readlinkat getdents64 getcwd fadvise64 dup dup2 dup3 poll ppoll select pselect6
    mmap mprotect munmap mremap brk madvise mincore
    rt_sigaction rt_sigprocmask rt_sigreturn sigaltstack
    futex set_robust_list set_tid_address rseq membarrier sched_yield getcpu restart_syscall exit exit_group
    getpid gettid getppid getuid geteuid getgid getegid uname sysinfo getrusage getrlimit times
    clock_gettime clock_getres clock_nanosleep nanosleep gettimeofday time getrandom
""")

_PROCESS_CALLS = _names("""
    fork vfork execve wait4 waitid arch_prctl pipe pipe2 getpgrp open openat
    mkdir mkdirat rmdir unlink unlinkat rename renameat renameat2 ftruncate fallocate fsync fdatasync flock umask
    chdir close_range
""")
"""What starting ptxas and using a scratch folder takes beyond `_CALLS`. No setsid and no setpgid: who cannot leave the
process group is killed with it, in one call that no fork can race."""

_SOCKET_CALLS = _names("""
    socket connect bind listen accept4 sendto recvfrom sendmsg recvmsg shutdown getsockname getpeername socketpair
    setsockopt getsockopt
""")

_DUPFD, _GETFD, _SETFD, _GETFL, _SETFL, _GETLK, _SETLK, _SETLKW = 0, 1, 2, 3, 4, 5, 6, 7
_DUPFD_CLOEXEC, _GETPIPE_SZ, _GET_SEALS = 1030, 1032, 1034
_FIONCLEX, _FIOCLEX, _TCGETS, _TIOCGWINSZ = 0x5450, 0x5451, 0x5401, 0x5413
# O_WRONLY, O_RDWR, O_CREAT, O_TRUNC, O_APPEND, O_ASYNC, O_PATH, __O_TMPFILE: the same bits on both architectures.
_OPEN_TO_CHANGE = 0o1 | 0o2 | 0o100 | 0o1000 | 0o2000 | 0o20000 | 0o10000000 | 0o20000000

_CHECKED: Mapping[str, tuple[Check, ...]] = {
    "clone": (Check(0, without=ANY_NAMESPACE | CLONE_PARENT, with_all=CLONE_THREAD),),
    "prctl": (
        Check(0, one_of=(PR_SET_NAME, PR_GET_NAME, PR_GET_DUMPABLE, PR_GET_NO_NEW_PRIVS, PR_GET_SECCOMP, PR_SET_VMA)),
    ),
    "prlimit64": (Check(0, one_of=(0,)), Check(2, null=True)),
    "ioctl": (Check(1, one_of=(_FIONCLEX, _FIOCLEX, _TCGETS, _TIOCGWINSZ)),),
    # No F_SETOWN and F_SETSIG (signals to others), leases, or larger pipes.
    "fcntl": (Check(1, one_of=(_DUPFD, _GETFD, _SETFD, _GETFL, _SETFL, _DUPFD_CLOEXEC, _GETPIPE_SZ, _GET_SEALS)),),
    "tgkill": (Check(0, one_of=(OWN_PID,)),),  # abort() signals itself
    "sched_getaffinity": (Check(0, one_of=(0, OWN_PID)),),
    "open": (Check(1, without=_OPEN_TO_CHANGE),),
    "openat": (Check(2, without=_OPEN_TO_CHANGE),),
}

# clone3 takes its flags through memory, where no filter can look: ENOSYS makes the C library fall back to clone.
_FAILING: Mapping[str, int] = {"clone3": errno.ENOSYS}
_OTHERWISE: Mapping[str, int] = {"ioctl": errno.ENOTTY}

_PYTHON_RULES = Rules(_CALLS, _CHECKED, _FAILING, _OTHERWISE)
_COMPILE_RULES = Rules(
    _CALLS | _PROCESS_CALLS,
    {
        **{name: checks for name, checks in _CHECKED.items() if name not in ("open", "openat")},
        "clone": (Check(0, without=ANY_NAMESPACE | CLONE_PARENT),),
        "fcntl": (
            Check(1, one_of=(*_CHECKED["fcntl"][0].one_of, _GETLK, _SETLK, _SETLKW)),
        ),
    },
    _FAILING,
    _OTHERWISE,
)


def profile(name: str) -> Profile:
    """The profile of a job. Raises KeyError for a name that is not in `CONFINED`."""
    rules = {"record": _PYTHON_RULES, "interpret": _PYTHON_RULES, "compile": _COMPILE_RULES}[name]
    return Profile(name, processes=name == "compile", rules=rules)


def with_network(chosen: Profile) -> Profile:
    """The profile with sockets, for those who switched `no_network` off."""
    return replace(chosen, rules=replace(chosen.rules, allowed=chosen.rules.allowed | _SOCKET_CALLS))


def file_rules(name: str) -> dict[str, int]:
    """Landlock rights by path for a profile, without its scratch folder. Takes milliseconds: it reads folders."""
    hidden = _answers()
    rules: dict[str, int] = {}
    for root in roots(name):
        rules |= _readable(Path(os.path.realpath(root)), hidden)
    rules |= dict.fromkeys(DEVICES, landlock.READ_FILE)
    if name == "compile":
        rules |= dict.fromkeys(_programs(), landlock.READ_FILE | landlock.EXECUTE)
        rules["/dev/null"] = landlock.READ_FILE | landlock.WRITE_FILE
    return rules


def roots(name: str) -> list[str]:
    """Folders of the software, under the names by which it is found: standard library, C library, packages."""
    folders = [sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib")]
    for loader in (loader for loader in _LOADERS if mode_of(Path(loader))):
        folders += [str(Path(loader).parent), str(Path(os.path.realpath(loader)).parent)]
    if name == "compile":
        folders += _package("triton")
    else:
        folders += [sysconfig.get_path("purelib"), sysconfig.get_path("platlib"), *site.getsitepackages()]
        # Where these were installed somewhere else, what they import lies beside them.
        folders += [str(Path(found).parent) for package in ("torch", "triton", "numpy") for found in _package(package)]
    return [folder for folder in dict.fromkeys([*folders, str(_core())]) if stat.S_ISDIR(mode_of(Path(folder)))]


def shown(name: str) -> list[str]:
    """Paths that a root folder of the child's own must show."""
    return [*roots(name), *DEVICES, *_LOADERS]


def everything() -> dict[str, int]:
    """Rights to read every file, for those who switched `no_file_access` off. Nothing is writable."""
    return {"/": landlock.READ}


def _package(name: str) -> list[str]:
    """The folder of an installed package; nothing where it is not installed."""
    spec = importlib.util.find_spec(name)
    return list(spec.submodule_search_locations or ()) if spec is not None else []


def _core() -> Path:
    return Path(os.path.realpath(tritonrl_core.errors.__file__)).parent


def _answers() -> frozenset[Path]:
    """Parts of the core that a candidate must not read: tasks with their solutions, and all that it does not need."""
    return frozenset(entry for entry in _entries(_core()) if entry.is_dir() and entry.name != "bench")


def _readable(path: Path, hidden: frozenset[Path]) -> dict[str, int]:
    """Rules that make `path` readable but for what is hidden. Landlock cannot take away beneath what it grants.

    Names of hidden files stay visible to a directory listing; links are left out, because they lead elsewhere.
    """
    if path in hidden:
        return {}
    inside = frozenset(entry for entry in hidden if path in entry.parents)
    if not inside:
        return {str(path): landlock.READ}
    rules = {str(path): landlock.READ_DIR}
    for entry in _entries(path):
        if not stat.S_ISLNK(mode_of(entry, follow=False)):
            rules |= _readable(entry, inside)
    return rules


def _entries(folder: Path) -> list[Path]:
    """What lies in a folder; nothing where this user cannot look."""
    try:
        return list(folder.iterdir())
    except OSError:
        return []


def _programs() -> Iterable[str]:
    """ptxas as Triton ships it, and the dynamic loader that starts it."""
    for folder in _package("triton"):
        yield from (str(found) for found in Path(folder).glob("backends/nvidia/bin/ptxas*"))
    yield from (os.path.realpath(loader) for loader in _LOADERS if mode_of(Path(loader)))

"""The child's half: confine itself, prove it, run the entry, send one frame. Nothing here returns to the caller.

Set-up happens before any untrusted code runs, so the frame that reports on it cannot be forged: the first frame is
`r` (ready) or `x` (set-up failed, nothing ran). Whatever follows is untrusted: `p` payload, `m` out of memory,
`e` the entry raised.
"""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import shutil
import struct
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from tritonrl_core.types import SandboxJob

from tritonrl_plugin_sandbox import landlock, linux, namespaces, seccomp, view
from tritonrl_plugin_sandbox.namespaces import Identity
from tritonrl_plugin_sandbox.view import View

ResourceLimits = Mapping[int, tuple[int, int]]
"""Soft and hard limit by RLIMIT_*."""

FRAME = struct.Struct("<cQ")
"""A tag and the length of what follows."""

KEPT_VARIABLES = ("TRITON_", "OMP_", "MKL_", "OPENBLAS_", "LANG", "LC_", "TZ", "CUDA_VISIBLE_DEVICES", "PYTHONDONT")
"""Beginnings of the names of the environment variables that a candidate may see."""

_AF_INET, _SOCK_STREAM, _SECCOMP_FILTER, _SIGCHLD = 2, 1, 2, 17


class SetupError(Exception):
    """A layer could not be put in place, or the self-test found it without effect."""


@dataclass(frozen=True, slots=True)
class Confinement:
    """All layers for one profile, prepared once per worker process. Descriptors belong to that process.

    `view` is the root folder to see (None: the host's own). `rules` are Landlock's rights by path, for profiles with a
    scratch folder, whose ruleset each child makes for itself; the others share `ruleset`, a descriptor. `program` is
    None where the syscall filter is switched off.
    """

    flags: int
    identity: Identity | None
    view: View | None
    ruleset: int | None
    rules: Mapping[str, int]
    landlock_version: int
    program: bytes | None
    network: bool
    files: bool
    processes: bool
    environment: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Place:
    """What differs from job to job: limits, descriptors to keep, the gate, and the scratch folder ("" for none)."""

    limits: ResourceLimits
    keep: tuple[int, ...]
    gate: int
    scratch: str


def run(job: SandboxJob, how: Confinement, place: Place, writer: int) -> NoReturn:
    """The child's whole life."""
    code = 1
    try:
        _set_up(how, place, writer)
        _send(writer, b"r", b"")
        _send(writer, b"p", job.entry())
        code = 0
    except MemoryError:
        _send(writer, b"m", b"")
    except BaseException as error:  # noqa: BLE001 - untrusted code failed, whatever it raised
        with contextlib.suppress(BaseException):
            _send(writer, b"e", f"{type(error).__name__}: {error}".encode("utf-8", "replace")[:4096])
    finally:
        os._exit(code)


def _set_up(how: Confinement, place: Place, writer: int) -> None:
    try:
        namespaces.wait_at(place.gate)
        confine(how, place)
        self_test(how)
    except BaseException as error:  # noqa: BLE001 - fail closed: nothing untrusted runs after any failure here
        _send(writer, b"x", f"{type(error).__name__}: {error}".encode("utf-8", "replace")[:4096])
        os._exit(1)


def confine(how: Confinement, place: Place) -> None:
    """Apply every layer, in the one order that works. Raises where a step fails. Needs a process with one thread."""
    os.setsid()
    _silence()
    os.umask(0o022)
    if how.view is not None:
        owner = namespaces.inner_uid(how.flags, how.identity) if place.scratch else None
        view.enter(how.view, scratch_owner=owner)
    ruleset = how.ruleset
    if ruleset is None:
        rules = {**how.rules, place.scratch: landlock.SCRATCH}
        ruleset = landlock.ruleset(rules, how.landlock_version, network=how.network)
    capabilities = namespaces.become(how.flags, how.identity)
    namespaces.die_with_parent(place.gate)
    os.umask(0o077)
    _clean_environment(how, place.scratch)
    os.chdir(place.scratch or "/")
    for which, value in place.limits.items():
        resource.setrlimit(which, value)
    linux.prctl(linux.PR_SET_DUMPABLE, 0)
    linux.prctl(linux.PR_SET_NO_NEW_PRIVS, 1)
    linux.set_capabilities(capabilities)
    landlock.restrict_self(ruleset, how.landlock_version)
    _close_all_but(place.keep)
    if how.program is not None:
        seccomp.load(seccomp.for_process(how.program, os.getpid()))


def self_test(how: Confinement) -> None:
    """Try what must not work. Raises `SetupError` naming the layer that let it through."""
    _expect(linux.prctl(linux.PR_GET_NO_NEW_PRIVS) == 1, "no_new_privs is not set")
    if how.identity is not None:
        _expect(os.getuid() == os.geteuid() != 0, "the child is still root")
    if not how.files:
        _refused(lambda: os.open("/", os.O_RDONLY), errno.EACCES, "Landlock: the root folder can be listed")
    if how.program is None:
        return
    _expect(linux.prctl(linux.PR_GET_SECCOMP) == _SECCOMP_FILTER, "no seccomp filter is active")
    _refused(lambda: linux.syscall("unshare", 0), errno.EPERM, "seccomp: unshare can be called")
    _refused(lambda: linux.syscall("kill", os.getppid(), 0), errno.EPERM, "seccomp: it can signal processes")
    if not how.network:
        _refused(_try_to_connect, errno.EPERM, "seccomp: a socket can be made")
    if not how.processes:
        _refused(_try_to_fork, errno.EPERM, "seccomp: a process can be forked")


def _try_to_connect() -> None:
    linux.syscall("socket", _AF_INET, _SOCK_STREAM, 0)


def _try_to_fork() -> None:
    if linux.syscall("clone", _SIGCHLD, 0, 0, 0, 0) == 0:
        os._exit(0)


def _refused(attempt: Callable[[], object], number: int, complaint: str) -> None:
    try:
        attempt()
    except OSError as error:
        _expect(error.errno == number, f"{complaint} (it failed for another reason: {error})")
        return
    raise SetupError(complaint)


def _expect(holds: bool, complaint: str) -> None:
    if not holds:
        raise SetupError(complaint)


def _silence() -> None:
    """Standard streams lead nowhere: output crosses in the frame and nowhere else."""
    null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    for standard in (0, 1, 2):
        os.dup2(null, standard)


def _clean_environment(how: Confinement, scratch: str) -> None:
    for name in list(os.environ):
        kept = os.environ.pop(name)
        if name.startswith(KEPT_VARIABLES):
            os.environ[name] = kept  # a fresh copy: the block it was started with is wiped below
    os.environ["HOME"] = os.environ["TMPDIR"] = scratch or "/nonexistent"
    if scratch:
        os.environ["TRITON_CACHE_DIR"] = scratch
    tempfile.tempdir = scratch or None
    linux.wipe_memory(*how.environment)
    if scratch and how.landlock_version == 1:
        _move_by_copying()


def _move_by_copying() -> None:
    """Landlock 1 lets no file move to another folder, and Triton's cache does that: copy where a move is refused."""
    rename = os.replace

    def replace(source: str, target: str) -> None:
        try:
            rename(source, target)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            shutil.copyfile(source, target)
            Path(source).unlink()

    os.replace = replace  # type: ignore[assignment]


def _close_all_but(keep: tuple[int, ...]) -> None:
    low = 3
    for descriptor in sorted({fd for fd in keep if fd > 2}):
        os.closerange(low, descriptor)
        low = descriptor + 1
    linux.syscall("close_range", low, 0xFFFFFFFF, 0)


def _send(writer: int, tag: bytes, body: bytes) -> None:
    view = memoryview(FRAME.pack(tag, len(body)) + body)
    while view:
        view = view[os.write(writer, view) :]

"""What this host offers, found by trying: Landlock, seccomp, namespaces, a user id of one's own. And its tier.

| tier | layers |
| --- | --- |
| A | Landlock, seccomp, limits, and own user, pid, net, ipc and mount namespaces |
| B | Landlock 6 or newer (it scopes signals and abstract sockets), seccomp, limits |
| C | Landlock 1 to 5, seccomp, limits |

Kernel versions are never asked: containers allow less than their kernel could.
"""

from __future__ import annotations

import os
import platform
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from tritonrl_plugin_sandbox import landlock, linux, namespaces, seccomp, view
from tritonrl_plugin_sandbox.namespaces import Identity
from tritonrl_plugin_sandbox.tables import this_arch

TIERS = ("A", "B", "C")
SCOPED_LANDLOCK = 6


@dataclass(frozen=True, slots=True)
class Host:
    """What was found. `namespaces` are the clone flags that work together, 0 where they do not (`why_no_namespaces`).

    `table` is whether the syscall table of this machine has been tested; `seccomp` is "" where a filter can be loaded,
    else the reason why not.
    """

    machine: str
    kernel: str
    table: bool
    landlock: int
    seccomp: str
    namespaces: int
    why_no_namespaces: str
    identity: Identity | None

    @property
    def tier(self) -> str:
        """The strongest tier that this host can give; "" below C."""
        if not self.table or self.seccomp or not self.landlock:
            return ""
        if self.namespaces:
            return "A"
        return "B" if self.landlock >= SCOPED_LANDLOCK else "C"


def probe(software: tuple[Path, ...] = ()) -> Host:
    """Try everything in forked children; takes some milliseconds. For a process with one thread.

    `software` are folders that the identity must be able to read.
    """
    arch = this_arch()
    table = arch is not None and arch.tested
    identity = namespaces.slot(software)
    flags, why = _namespaces(identity, software) if arch is not None else (0, "no syscall table for this machine")
    return Host(
        machine=platform.machine(),
        kernel=platform.release(),
        table=table,
        landlock=landlock.abi() if arch is not None else 0,
        seccomp=_seccomp() if arch is not None else "no syscall table for this machine",
        namespaces=flags,
        why_no_namespaces=why,
        identity=identity,
    )


def missing(host: Host, wanted: str) -> list[str]:
    """What keeps the host from tier `wanted`, each with how to get it; empty where it is reached."""
    if host.tier and host.tier <= wanted:
        return []
    found = []
    if not host.table:
        found.append(f"syscall filter: there is no tested table for {host.machine} yet; use an x86-64 machine")
    elif host.seccomp:
        found.append(
            f"syscall filter: a seccomp filter cannot be loaded ({host.seccomp}); the kernel needs "
            "CONFIG_SECCOMP_FILTER, and a container must not forbid the seccomp call"
        )
    if not host.landlock:
        found.append(
            f"Landlock: not available on kernel {host.kernel}; it needs Linux 5.13 or newer with `landlock` in the "
            "boot parameter lsm= (see /sys/kernel/security/lsm), and a container that lets its calls through "
            "(engines since 2022 do by default)"
        )
    elif wanted == "B" and host.landlock < SCOPED_LANDLOCK:
        found.append(f"Landlock {SCOPED_LANDLOCK}: this kernel has version {host.landlock}; Linux 6.12 or newer has it")
    if wanted == "A" and not host.namespaces:
        found.append(
            f"namespaces: {host.why_no_namespaces}; in a container run it with --cap-add SYS_ADMIN or a seccomp "
            "profile that allows unshare and mount, on Ubuntu set kernel.apparmor_restrict_unprivileged_userns=0"
        )
    return found


def _namespaces(identity: Identity | None, software: tuple[Path, ...]) -> tuple[int, str]:
    """The namespaces that can be had together, trying with a user namespace first, as root without one, too."""
    why = _try_namespaces(namespaces.ISOLATED, identity, software)
    if not why:
        return namespaces.ISOLATED, ""
    without_user = namespaces.ISOLATED & ~linux.CLONE_NEWUSER
    if os.geteuid() == 0 and not _try_namespaces(without_user, identity, software):
        return without_user, ""
    return 0, why


def _try_namespaces(flags: int, identity: Identity | None, software: tuple[Path, ...]) -> str:
    shown = view.view_of(["/dev/null", *map(str, software)])

    def child(gate: int) -> None:
        namespaces.wait_at(gate)
        view.enter(shown, scratch_owner=namespaces.inner_uid(flags, identity))
        namespaces.become(flags, identity)

    return _in_child(child, flags, identity)


def _seccomp() -> str:
    def child(gate: int) -> None:
        # Without waiting it may be gone before its gate is opened, which would look like a filter that was refused.
        namespaces.wait_at(gate)
        linux.prctl(linux.PR_SET_NO_NEW_PRIVS, 1)
        seccomp.load(struct.pack("=HBBI", 0x06, 0, 0, seccomp.ALLOW))

    return _in_child(child, 0, None)


def _in_child(attempt: Callable[[int], None], flags: int, identity: Identity | None) -> str:
    """Run `attempt` in a child that dies with it; "" where it worked, else the reason."""
    reader, writer = os.pipe()
    gate, opener = os.pipe()
    try:
        pid = namespaces.fork(flags)
    except OSError as error:
        for descriptor in (reader, writer, gate, opener):
            os.close(descriptor)
        return str(error)
    if pid == 0:
        os.close(opener)
        _attempt(attempt, gate, writer)
    os.close(writer)
    os.close(gate)
    why = ""
    try:
        namespaces.admit(pid, flags, identity)
        os.write(opener, b"g")
    except OSError as error:
        why = str(error)
    os.close(opener)
    said = os.read(reader, 4096).decode("utf-8", "replace")
    os.close(reader)
    os.waitpid(pid, 0)
    return why or (said if said != "ok" else "") if said else why or "the probe died"


def _attempt(attempt: Callable[[int], None], gate: int, writer: int) -> NoReturn:
    try:
        attempt(gate)
        os.write(writer, b"ok")
    except OSError as error:
        os.write(writer, str(error).encode()[:4000])
    finally:
        os._exit(0)

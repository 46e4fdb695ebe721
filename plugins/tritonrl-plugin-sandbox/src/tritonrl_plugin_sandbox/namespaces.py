"""A child in namespaces of its own, and the unprivileged user that it becomes. Parent's half and child's half.

The user namespace lets an ordinary user make the others. The child waits at a gate until its parent has said who it is;
the gate stays open for as long as the parent lives.
"""

from __future__ import annotations

import os
import select
import signal
from dataclasses import dataclass
from pathlib import Path

from tritonrl_plugin_sandbox import linux

ISOLATED = (
    linux.CLONE_NEWUSER | linux.CLONE_NEWPID | linux.CLONE_NEWNET | linux.CLONE_NEWIPC
    | linux.CLONE_NEWNS | linux.CLONE_NEWUTS
)
NAMES = {
    linux.CLONE_NEWUSER: "user", linux.CLONE_NEWPID: "pid", linux.CLONE_NEWNET: "net", linux.CLONE_NEWIPC: "ipc",
    linux.CLONE_NEWNS: "mount", linux.CLONE_NEWUTS: "uts",
}
NOBODY = 65534
"""Whom the child is inside a user namespace."""

_FIRST_SLOT = 2_000_000_000
_HIGHEST_PID = 1 << 22


@dataclass(frozen=True, slots=True)
class Identity:
    """A user id that nothing else runs as: one per worker process, taken by children of root.

    `far` says that this user cannot get to the installed software (it lies in a private home, say), `shut` that its
    files are not for others to read. Then the child keeps the one capability to read regardless of modes; Landlock
    still decides what. A root folder of its own makes `far` irrelevant.
    """

    uid: int
    far: bool = False
    shut: bool = False

    def capabilities(self, *, own_root: bool) -> int:
        """What the child keeps, as a mask."""
        return 1 << linux.CAP_DAC_READ_SEARCH if self.shut or (self.far and not own_root) else 0


def slot(software: tuple[Path, ...]) -> Identity | None:
    """The slot of this process; None for an ordinary user or where no such id exists (a small user namespace)."""
    if os.geteuid() != 0:
        return None
    uid = _FIRST_SLOT + os.getpid() % _HIGHEST_PID
    if not (_maps("uid_map", uid) and _maps("gid_map", uid)):
        return None
    far = not all(linux.mode_of(parent) & 0o001 for path in software for parent in path.parents)
    shut = not all(_readable(path) for path in software)
    return Identity(uid, far=far, shut=shut)


def fork(flags: int) -> int:
    """Fork into new namespaces; 0 in the child. A plain fork where there are no flags."""
    return linux.clone(flags) if flags else os.fork()


def admit(pid: int, flags: int, identity: Identity | None) -> None:
    """The parent's half: say who the child is in its user namespace. Raises OSError where the host forbids it."""
    if not flags & linux.CLONE_NEWUSER:
        return
    root = Path("/proc") / str(pid)
    if identity is None:
        (root / "setgroups").write_text("deny", encoding="utf-8")
    for kind, own in (("uid_map", os.geteuid()), ("gid_map", os.getegid())):
        lines = [f"{NOBODY} {own if identity is None else identity.uid} 1"]
        if identity is not None:
            lines.insert(0, "0 0 1")  # what the child mounts before `become` needs an owner with a name here
        (root / kind).write_text("\n".join(lines), encoding="utf-8")


def wait_at(gate: int) -> None:
    """The child's half of `admit`. Raises OSError where the parent gave up."""
    if os.read(gate, 1) != b"g":
        raise OSError(3, "the parent gave up before the child was admitted")


def inner_uid(flags: int, identity: Identity | None) -> int:
    """Who the child is, as seen from where it is."""
    if flags & linux.CLONE_NEWUSER:
        return NOBODY
    return os.geteuid() if identity is None else identity.uid


def become(flags: int, identity: Identity | None) -> int:
    """Take the identity, in its namespace or as it is; returns the capabilities to keep (a mask).

    Without an identity the user stays who he is, without capabilities.
    """
    if identity is None:
        return 0
    uid = inner_uid(flags, identity)
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    linux.prctl(linux.PR_SET_KEEPCAPS, 1)
    os.setresuid(uid, uid, uid)
    return identity.capabilities(own_root=bool(flags & linux.CLONE_NEWNS))


def die_with_parent(gate: int) -> None:
    """Be killed when the parent ends. After `become`, because a change of user forgets it."""
    linux.prctl(linux.PR_SET_PDEATHSIG, signal.SIGKILL)
    watch = select.poll()
    watch.register(gate, 0)
    if watch.poll(0):  # only a hang-up is reported: the parent had ended before
        os._exit(1)


def describe(flags: int) -> str:
    return "+".join(name for flag, name in NAMES.items() if flags & flag)


def _maps(which: str, wanted: int) -> bool:
    """Whether this process's own user namespace knows the id."""
    for line in (Path("/proc/self") / which).read_text(encoding="utf-8").splitlines():
        first, _, count = (int(word) for word in line.split())
        if first <= wanted < first + count:
            return True
    return False


def _readable(folder: Path) -> bool:
    """Whether others may read the folder and what lies directly in it."""
    entries = [folder, *(folder.iterdir() if folder.is_dir() else ())]
    return all(linux.mode_of(path) & (0o005 if path.is_dir() else 0o004) for path in entries if not path.is_symlink())

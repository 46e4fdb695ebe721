"""The canaries that attacks aim at, and the harness's own look at what became of them.

The world belongs to the process that plays the verifier. It makes its secrets after the dispatcher was forked, so that
no child inherits them: a secret that comes back was stolen. What an attack changed is found here by looking, after
every job, at all canaries; then everything is put back.
"""

from __future__ import annotations

import ctypes
import os
import resource
import secrets
import signal
import socket
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import tritonrl_core.errors
from attack import libc

from tritonrl_plugin_sandbox.scratch import empty

MARKER = "CANARY-"


def initial_environment() -> tuple[int, int]:
    fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    return int(fields[47]), int(fields[48])


class World:
    """All canaries of one run. `close` removes them."""

    def __init__(self, dispatcher: int, reap: Callable[[], object], stdout: Path, folder: Path) -> None:
        """`reap` makes the dispatcher take its dead children, which this process cannot do for it."""
        self.dispatcher, self.reap, self.stdout, self.folder = dispatcher, reap, stdout, folder
        self.tag = f"tritonrl-escape-{os.getpid()}"
        self.tokens: dict[str, bytes] = {}
        self.open = folder / "open"
        self._memory()
        self._sockets()
        self.bystander = self._start_bystander()
        self.restore()
        self.secret_fd = os.open(self.folder / "secret", os.O_RDONLY)
        self.before = self._look()

    def token(self, name: str) -> bytes:
        return self.tokens.setdefault(name, (MARKER + secrets.token_hex(8)).encode())

    def parameters(self) -> dict[str, Any]:
        """What attackers are told. Where things are, never what is in them."""
        return {
            "secret": str(self.folder / "secret"), "victim": str(self.folder / "victim"),
            "neighbour": str(self.folder / "neighbour" / "scratch" / "source"), "scores": str(self.folder / "scores"),
            "open_folder": str(self.open), "mount_point": str(self.folder / "mount"),
            "software": str(self.folder / "software"), "software_victim": str(self.folder / "software" / "module.py"),
            "home": os.environ.get("HOME", "/"), "core": str(Path(tritonrl_core.errors.__file__).parent),
            "shm_file": f"/dev/shm/{self.tag}-secret", "tag": self.tag, "marker": MARKER,
            "tcp": self.tcp.getsockname()[1], "tcp6": self.tcp6.getsockname()[1] if self.tcp6 else 9,
            "udp": self.udp.getsockname()[1], "unix": str(self.folder / "unix"),
            "unix_datagram": str(self.folder / "datagram"), "abstract": f"{self.tag}-abstract",
            "shm_id": self.shm_id, "spare_shm_id": self.spare_shm_id,
            "address": self.address, "length": len(self.token("memory")), "scribble": ctypes.addressof(self.scribble),
            "secret_fd": self.secret_fd, "bystander": self.bystander, "verifier": os.getpid(),
            "dispatcher": self.dispatcher, "scratch": str(self.folder / "scratch"),
        }  # fmt: skip

    def damage(self) -> list[str]:
        """What differs from before, in words; empty where nothing does."""
        after = self._look()
        found = [name for name, value in after.items() if value != self.before[name]]
        return found + self._visits()

    def restore(self) -> None:
        """Put every canary back."""
        for name in ("secret", "victim", "scores", "neighbour/scratch/source", "software/module.py"):
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.unlink(missing_ok=True)
            path.write_bytes(b"victim" if name in ("victim", "software/module.py") else self.token(name))
            path.chmod(0o666)
            os.utime(path, (1e9, 1e9))
        for name in ("open", "mount", "scratch"):
            (self.folder / name).mkdir(mode=0o777, exist_ok=True)
            empty(str(self.folder / name))
        for path in self.folder.glob("*.moved"):
            path.unlink()
        for path in Path("/dev/shm").glob(f"{self.tag}-*"):
            path.unlink()
        Path(f"/dev/shm/{self.tag}-secret").write_bytes(self.token("shm file"))
        self.scribble.value = b"untouched"
        os.truncate(self.stdout, 0)
        self._free_ipc()
        self._calm_bystander()
        self._end_survivors()
        self._visits()
        self.before = self._look()

    def close(self) -> None:
        os.kill(self.bystander, signal.SIGKILL)
        os.waitpid(self.bystander, 0)
        self._free_ipc()
        for identifier in (self.shm_id, self.spare_shm_id):
            libc.shmctl(identifier, 0, None)
        Path(f"/dev/shm/{self.tag}-secret").unlink(missing_ok=True)
        empty(str(self.folder))
        self.folder.rmdir()

    # -- making --------------------------------------------------------------------------------------------------------

    def _memory(self) -> None:
        self.keep = ctypes.create_string_buffer(self.token("memory"))
        self.address = ctypes.addressof(self.keep)
        self.scribble = ctypes.create_string_buffer(b"untouched", 64)
        libc.shmat.restype = ctypes.c_void_p
        self.spare_shm_id = libc.shmget(0, 4096, 0o1666)
        self.shm_id = libc.shmget(0, 4096, 0o1666)
        place = libc.shmat(self.shm_id, None, 0)
        ctypes.memmove(place, self.token("memory"), len(self.token("memory")))

    def _sockets(self) -> None:
        self.tcp = socket.create_server(("127.0.0.1", 0))
        try:
            self.tcp6: socket.socket | None = socket.create_server(("::1", 0), family=socket.AF_INET6)
        except OSError:
            self.tcp6 = None
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.bind(("127.0.0.1", 0))
        self.unix, self.abstract = socket.socket(socket.AF_UNIX), socket.socket(socket.AF_UNIX)
        self.unix.bind(str(self.folder / "unix"))
        self.abstract.bind(f"\0{self.tag}-abstract")
        self.datagram = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.datagram.bind(str(self.folder / "datagram"))
        for listener in (self.unix, self.abstract):
            listener.listen()
        for each in (self.tcp, self.tcp6, self.udp, self.unix, self.abstract, self.datagram):
            if each is not None:
                each.setblocking(False)

    def _start_bystander(self) -> int:
        """Another process of the same user, which has done nothing to anybody."""
        flag = self.folder / "signalled"
        flag.write_bytes(b"")
        pid = os.fork()
        if pid:
            return pid
        for number in (signal.SIGUSR1, signal.SIGIO):
            signal.signal(number, lambda *_: flag.write_bytes(flag.read_bytes() + b"x"))
        while True:
            time.sleep(60)

    # -- looking -------------------------------------------------------------------------------------------------------

    def _look(self) -> dict[str, Any]:
        return {
            "files were changed": self._files(),
            "shared memory files were left": sorted(path.name for path in Path("/dev/shm").glob(f"{self.tag}-*")),
            "IPC objects changed": [_ids(kind) for kind in ("shm", "sem", "msg")],
            "mounts changed": len(Path("/proc/self/mounts").read_text().splitlines()),
            "the verifier's memory was written": self.scribble.value,
            "the bystander was changed": self._bystander(),
            "processes were left": len(self._survivors()),
            "the dispatcher was changed": _settings(self.dispatcher),
            "the worker's output was written": self.stdout.stat().st_size,
        }

    def _files(self) -> dict[str, tuple[Any, ...]]:
        found = {}
        for path in (path for top in self.folder.iterdir() for path in (top, *_inside(top))):
            seen = path.lstat()
            content = path.read_bytes() if path.is_file() and not path.is_symlink() and seen.st_size < 4096 else b""
            stamp = () if path.is_dir() else (seen.st_mtime_ns, seen.st_size)
            if path != self.stdout:
                found[str(path)] = (seen.st_mode, seen.st_uid, content, *stamp)
        return found

    def _bystander(self) -> tuple[Any, ...]:
        status = dict(line.split(":\t", 1) for line in Path(f"/proc/{self.bystander}/status").read_text().splitlines()
                      if ":\t" in line)  # fmt: skip
        stopped = status["State"].startswith(("T", "t", "Z"))
        return (stopped, status["TracerPid"], _settings(self.bystander))

    def _survivors(self) -> list[int]:
        path = Path(f"/proc/{self.dispatcher}/task/{self.dispatcher}/children")
        return [int(word) for word in path.read_text().split()]

    def _visits(self) -> list[str]:
        """Connections and messages that arrived. Looking takes them away."""
        found = []
        for name in ("tcp", "tcp6", "unix", "abstract"):
            listener = getattr(self, name)
            try:
                listener.accept()[0].close()
                found.append(f"{name} was connected to")
            except (BlockingIOError, AttributeError):
                continue
        for name in ("udp", "datagram"):
            try:
                getattr(self, name).recv(16)
                found.append(f"{name} got a message")
            except BlockingIOError:
                continue
        return found

    # -- putting back --------------------------------------------------------------------------------------------------

    def _free_ipc(self) -> None:
        for kind, remove in (("shm", libc.shmctl), ("msg", libc.msgctl)):
            for identifier in _ids(kind) - {self.shm_id, self.spare_shm_id}:
                remove(identifier, 0, None)
        for identifier in _ids("sem"):
            libc.semctl(identifier, 0, 0)
        if self.spare_shm_id not in _ids("shm"):
            self.spare_shm_id = libc.shmget(0, 4096, 0o1666)
        libc.syscall(ctypes.c_long(241), self.tag.encode())

    def _calm_bystander(self) -> None:
        for pid in (self.bystander, self.dispatcher):
            os.sched_setaffinity(pid, os.sched_getaffinity(0))
        if os.getpriority(os.PRIO_PROCESS, self.bystander) or _settings(self.bystander) != _settings(os.getpid()):
            os.kill(self.bystander, signal.SIGKILL)
            os.waitpid(self.bystander, 0)
            self.bystander = self._start_bystander()
        os.kill(self.bystander, signal.SIGCONT)
        (self.folder / "signalled").write_bytes(b"")
        os.utime(self.folder / "signalled", (1e9, 1e9))

    def _end_survivors(self) -> None:
        patience = time.monotonic() + 60
        while (left := self._survivors()) and time.monotonic() < patience:
            for pid in left:
                try:
                    os.kill(pid, signal.SIGKILL)
                except OSError:
                    continue
            time.sleep(0.002)
            self.reap()


def _inside(top: Path) -> list[Path]:
    """What lies below, but not in the scratch folder that a plain child has: it may hold anything."""
    return [] if top.name == "scratch" or not top.is_dir() else list(top.rglob("*"))


def _settings(pid: int) -> tuple[Any, ...]:
    return (
        os.getpriority(os.PRIO_PROCESS, pid),
        sorted(os.sched_getaffinity(pid)),
        resource.prlimit(pid, resource.RLIMIT_NOFILE),
    )


def _ids(kind: str) -> set[int]:
    """Ids of this user's System V objects."""
    rows = [line.split() for line in Path(f"/proc/sysvipc/{kind}").read_text().splitlines()]
    place = {"shm": "uid", "sem": "uid", "msg": "uid"}[kind]
    column = rows[0].index(place)
    return {int(row[1]) for row in rows[1:] if int(row[column]) == os.geteuid()}


def make_folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="tritonrl-escape-"))
    folder.chmod(0o755)
    return folder

"""What this host offers and whether it holds: the layers, and canary attacks run through the real thing.

For `tritonrl doctor`. The look is taken in a fresh process, because children are forked and the asking process may have
threads.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from tritonrl_core.errors import InfraError
from tritonrl_core.types import Limits, SandboxJob

from tritonrl_plugin_sandbox import host, namespaces, prepare, worker
from tritonrl_plugin_sandbox.host import Host

_PATIENCE_S = 120


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer: is it there, and what was found or how to get it."""

    name: str
    there: bool
    note: str


@dataclass(frozen=True, slots=True)
class Canary:
    """One attack that must not work, and whether the sandbox held; `note` says how it ended."""

    name: str
    held: bool
    note: str


@dataclass(frozen=True, slots=True)
class HostReport:
    """The tier of this host ("" below C), its layers, and the canaries (none are run below C)."""

    tier: str
    layers: tuple[Layer, ...]
    canaries: tuple[Canary, ...]

    @property
    def holds(self) -> bool:
        return bool(self.tier) and all(canary.held for canary in self.canaries)


def host_report() -> HostReport:
    """Look at this host from a fresh process. Raises `InfraError` where that process fails."""
    environment = {"PATH": os.environ.get("PATH", ""), "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    done = subprocess.run(
        [sys.executable, "-P", "-c", "from tritonrl_plugin_sandbox import report; report.main()"],
        capture_output=True, text=True, check=False, env=environment, timeout=_PATIENCE_S,
    )  # fmt: skip
    if done.returncode != 0:
        raise InfraError(f"the look at the sandbox failed: {(done.stderr.strip().splitlines() or ['no message'])[-1]}")
    return from_data(json.loads(done.stdout))


def from_data(data: Mapping[str, Any]) -> HostReport:
    """The report from its JSON form."""
    return HostReport(
        tier=data["tier"],
        layers=tuple(Layer(**row) for row in data["layers"]),
        canaries=tuple(Canary(**row) for row in data["canaries"]),
    )


def look() -> HostReport:
    """Look at this host from this process, which must have one thread."""
    prepared = prepare.prepare(prepare.Demand())
    tier = prepared.host.tier
    return HostReport(tier, _layers(prepared.host), _canaries(prepared) if tier else ())


def _layers(found: Host) -> tuple[Layer, ...]:
    lacking = dict(text.split(": ", 1) for wanted in ("A", "B") for text in host.missing(found, wanted))
    uid = "root's children get a user id of their own" if found.identity else "children run as you; fine, but for root"
    spaces = namespaces.describe(found.namespaces) or lacking.get("namespaces", "")
    return (
        Layer("Landlock", bool(found.landlock), f"version {found.landlock}" if found.landlock else lacking["Landlock"]),
        Layer("syscall filter", found.table and not found.seccomp, lacking.get("syscall filter", "seccomp")),
        Layer("namespaces", bool(found.namespaces), spaces),
        Layer("own user id", bool(found.identity), uid),
    )


def _canaries(prepared: prepare.Prepared) -> tuple[Canary, ...]:
    with tempfile.TemporaryDirectory(prefix="tritonrl-canary-") as folder:
        secret = Path(folder) / "secret"
        secret.write_text("canary", encoding="utf-8")
        Path(folder).chmod(0o755)  # so that it is not its mode that keeps it from a child with another user id
        secret.chmod(0o644)
        attacks: dict[str, Callable[[], object]] = {
            "read a file": secret.read_text,
            "write a file": partial((Path(folder) / "written").write_text, "x"),
            "list the root folder": partial(os.listdir, "/"),
            "open a socket": socket.socket,
            "fork": os.fork,
            "run a program": partial(os.execv, "/bin/sh", ["sh", "-c", "exit 0"]),
            "signal its parent": partial(os.kill, os.getpid(), signal.SIGCONT),
            "use too much memory": partial(bytearray, 1 << 30),
            "sleep past its deadline": partial(time.sleep, 30),
        }
        return tuple(_try(prepared, name, attack) for name, attack in attacks.items())


def _try(prepared: prepare.Prepared, name: str, attack: Callable[[], object]) -> Canary:
    parent = os.getpid()

    def entry() -> bytes:
        attack()
        return b"" if os.getpid() == parent else b"it worked"

    limits = Limits(wall_s=1.0, cpu_s=1.0, memory_bytes=256 << 20, output_bytes=1 << 10)
    result = worker.run(SandboxJob(entry, limits, "record"), prepared.box("record"))
    held = result.outcome in ("died", "memory", "timeout") and result.seconds < 2 * limits.wall_s
    return Canary(name, held, result.detail or result.outcome)


def main() -> None:
    """Print the report of this process as JSON."""
    sys.stdout.write(json.dumps(asdict(look())))

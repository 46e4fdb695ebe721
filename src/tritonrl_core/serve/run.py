"""Opens what a service needs, decides whether it may listen where it was told to, and serves until told to end."""

from __future__ import annotations

import errno
import ipaddress
import logging
import signal
import socket
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from tritonrl_core.errors import UsageError
from tritonrl_core.runs import Run, read_run, verification_key

if TYPE_CHECKING:
    import uvicorn

    from tritonrl_core.preset import Preset
    from tritonrl_core.serve.desk import Desk
    from tritonrl_core.types import Candidate, Score, Task
    from tritonrl_core.verifier import Verifier

log = logging.getLogger(__name__)

GRACE_S = 600
"""Seconds that work in hand may take after SIGTERM, before connections are cut."""


@dataclass(frozen=True)
class Where:
    """Where to listen, and what was asked for about who may."""

    host: str = "127.0.0.1"
    port: int = 8686
    token: str = ""
    capacity: int = 4096
    accept_references: bool = False

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach it. A name counts as reachable unless it is `localhost`."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    @property
    def address(self) -> str:
        """As a client on this machine writes it."""
        return f"http://[{self.host}]:{self.port}" if ":" in self.host else f"http://{self.host}:{self.port}"


def check_token(where: Where) -> None:
    """Raise `UsageError` where others can reach the service and it has no token."""
    if not where.loopback and len(where.token) < 16:
        raise UsageError(
            f"{where.host} can be reached from other machines, and there is no token of 16 characters or more",
            remedy="Set TRITONRL_TOKEN (for example: openssl rand -hex 24), or listen on 127.0.0.1.",
        )


def check_sandbox(where: Where, sandbox: str) -> None:
    """Raise `UsageError` where others can reach the service and it runs their code unconfined."""
    if not where.loopback and sandbox[:1] not in ("A", "B"):
        raise UsageError(
            f"{where.host} can be reached from other machines, and candidates would run with sandbox {sandbox!r}",
            remedy="Enable the plugin sandbox on a host with tier A or B (`tritonrl doctor`), or listen on 127.0.0.1.",
        )


def listening(where: Where) -> socket.socket:
    """The socket, so that nothing is opened where nobody could ask. Raises `UsageError`."""
    family = socket.AF_INET6 if ":" in where.host else socket.AF_INET
    try:
        return socket.create_server((where.host, where.port), family=family)
    except OSError as error:
        why = (error.strerror or str(error)).partition(" (")[0]
        taken = error.errno == errno.EADDRINUSE
        raise UsageError(
            f"cannot listen on {where.host}, port {where.port}: {why}",
            remedy="Name another port with --port, or end what listens there." if taken
            else "Name an address of this machine with --host, and a port of 1024 or more with --port.",
        ) from error  # fmt: skip


def open_store(folder: Path, preset: dict[str, Any], lock: dict[str, Any]) -> Run:
    """The folder in which verdicts are kept: a new one, or one that this very verification made."""
    if not folder.exists():
        return Run.create(folder, preset, lock, subfolders=False)
    if not (folder / "preset.resolved.yaml").is_file():
        raise UsageError(
            f"{folder} is there already, and no service has kept verdicts in it",
            remedy="Name a folder with --store that is not there yet, or one of an earlier service.",
        )
    if verification_key(*read_run(folder)) != verification_key(preset, lock):
        raise UsageError(
            f"{folder} holds verdicts of another preset, or of other versions",
            remedy="Name another folder with --store; verdicts are only comparable under one verification.",
        )
    return Run.open(folder)


def all_tasks(preset: Preset) -> dict[str, Task]:
    """The preset's tasks of both splits, by name."""
    from tritonrl_core.session import generate_tasks

    return {task.id: task for split in ("train", "held_out") for task in generate_tasks(preset, split)}


def serve(preset: Preset, where: Where, store: Path, on_ready: Callable[[str, dict[str, str]], None]) -> None:
    """Serve until SIGTERM or SIGINT: nothing new is taken then, what is in work is finished and kept.

    `on_ready` gets the address and what the bench says of itself, before anything is accepted. Raises `UsageError`.
    """
    import uvicorn

    from tritonrl_core.serve.app import Served, make_app
    from tritonrl_core.serve.desk import Desk
    from tritonrl_core.verifier import Verifier

    check_token(where)
    with listening(where) as listens, Verifier(preset) as verifier:
        bench = dict(verifier.bench.describe())
        check_sandbox(where, bench.get("sandbox", "none"))
        run = open_store(store, preset.dump(), verifier.session.lock())
        desk = Desk(partial(_judge, verifier), run, capacity=where.capacity, workers=verifier.at_once)
        served = Served(
            desk, all_tasks(preset), preset.name, run.verification, bench, where.token, where.accept_references,
            preset.verifier.delegation,
        )  # fmt: skip
        config = uvicorn.Config(
            make_app(served), log_level="warning", access_log=False, timeout_graceful_shutdown=GRACE_S,
            server_header=False, lifespan="off",
        )  # fmt: skip
        server = _server(config, desk)
        on_ready(where.address, bench)
        try:
            server.run([listens])
        finally:
            desk.close()


def _judge(verifier: Verifier, task: Task, candidate: Candidate) -> Score:
    """One verdict. A client's broken reference is told to the client, in an `INFRA`, and costs nobody else anything."""
    return verifier.verify_batch([(task, candidate)])[0]


def _server(config: uvicorn.Config, desk: Desk) -> uvicorn.Server:
    """A server that tells the desk before it stops to listen: connections that are open already get nothing new in."""
    import uvicorn

    class Draining(uvicorn.Server):
        def handle_exit(self, sig: int, frame: FrameType | None) -> None:
            log.info("ending on %s", signal.Signals(sig).name)
            desk.drain()
            super().handle_exit(sig, frame)

    return Draining(config)

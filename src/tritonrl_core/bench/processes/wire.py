"""Messages between the trusted parent, the warm worker and its dispatchers: one JSON object each, with descriptors.

Both ends are ours. Nothing here is ever unpickled, and what a candidate wrote travels as bytes in a memfd that only
`bench.report` reads.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
from collections.abc import Sequence
from typing import Any

MESSAGE_BYTES = 1 << 16
MESSAGE_FDS = 16

SEALED = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL
"""Seals of a memfd whose size is fixed; `F_SEAL_WRITE` beside them makes its content fixed as well."""


class Disconnected(Exception):  # noqa: N818 - an event of the connection, not a fault of anyone's
    """The other end is gone."""


def pair() -> tuple[socket.socket, socket.socket]:
    """A connected pair that keeps message boundaries."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def send(connection: socket.socket, message: dict[str, Any], fds: Sequence[int] = ()) -> None:
    """Send one message. Raises `Disconnected` where the other end is gone."""
    data = json.dumps(message).encode()
    if len(data) > MESSAGE_BYTES:
        raise ValueError(f"a message of {len(data)} bytes; long data goes in a memfd")
    try:
        socket.send_fds(connection, [data], list(fds))
    except OSError as error:
        raise Disconnected(str(error)) from error


def receive(connection: socket.socket) -> tuple[dict[str, Any], list[int]]:
    """Receive one message and its descriptors (the caller's to close). Raises `Disconnected` or `TimeoutError`."""
    try:
        data, fds, _, _ = socket.recv_fds(connection, MESSAGE_BYTES, MESSAGE_FDS)
    except TimeoutError:
        raise
    except OSError as error:
        raise Disconnected(str(error)) from error
    if not data:
        raise Disconnected("end of stream")
    for fd in fds:
        os.set_inheritable(fd, False)
    return json.loads(data), list(fds)


def memfd(name: str, data: bytes, *, fixed: bool = True) -> int:
    """An anonymous file of this size that holds `data`; not `fixed`: its content may be written over."""
    fd = os.memfd_create(name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(fd, view) :]
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, SEALED | (fcntl.F_SEAL_WRITE if fixed else 0))
    except BaseException:
        os.close(fd)
        raise
    return fd


def content(fd: int) -> bytes:
    """All of a memfd's bytes, whatever its position."""
    size = os.fstat(fd).st_size
    data = bytearray()
    while len(data) < size:
        chunk = os.pread(fd, size - len(data), len(data))
        if not chunk:
            break
        data += chunk
    return bytes(data)

"""An entry module for tests of the fork server: the child does what the descriptor's text tells it to."""

import os
import signal
import subprocess
import sys
import time

from tritonrl_core.bench.processes import wire


def warm() -> None:
    pass


def run(order: int, *others: int) -> bytes:
    word, _, rest = wire.content(order).decode().partition(" ")
    return ORDERS[word](rest, *others)


def _kill_dispatcher(rest: str) -> bytes:
    os.kill(os.getppid(), signal.SIGKILL)
    time.sleep(30)
    return b""


def _kill_warm(rest: str) -> bytes:
    with open(f"/proc/{os.getppid()}/stat") as file:
        os.kill(int(file.read().rpartition(")")[2].split()[1]), signal.SIGKILL)
    time.sleep(30)
    return b""


def _detach(rest: str) -> bytes:
    """Leave a grandchild behind that left the session and the group."""
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            time.sleep(float(rest))
        os._exit(0)
    time.sleep(0.05)
    return b"left one"


def _flood(rest: str) -> bytes:
    while True:
        os.write(1, b"x" * (1 << 16))
        os.write(2, b"x" * (1 << 16))


def _fork_bomb(rest: str) -> bytes:
    for _ in range(int(rest)):
        if os.fork() == 0:
            os.setsid()
            time.sleep(100_000)
    return b"forked"


ORDERS = {
    "echo": lambda rest: rest.encode(),
    "turns": lambda rest: f"{os.sched_getscheduler(0) == os.SCHED_IDLE} {os.nice(0)}".encode(),
    "fds": lambda rest, *others: repr([os.pread(fd, 100, 0) for fd in others]).encode(),
    "environment": lambda rest: repr(sorted(os.environ)).encode(),
    "open": lambda rest: repr(sorted(os.listdir("/proc/self/fd"))).encode(),
    "many": lambda rest: b"x" * int(rest),
    "sleep": lambda rest: time.sleep(float(rest)) or b"slept",
    "exit": lambda rest: os._exit(int(rest)),
    "sysexit": lambda rest: sys.exit(int(rest)),
    "raise": lambda rest: (_ for _ in ()).throw(ValueError(rest)),
    "signal": lambda rest: os.kill(os.getpid(), int(rest)),
    "memory": lambda rest: bytes(len(bytearray(int(rest)))),
    "spin": lambda rest: [0 for _ in iter(int, 1)],
    "flood": _flood,
    "detach": _detach,
    "bomb": _fork_bomb,
    "exec": lambda rest: subprocess.Popen(["/bin/sleep", rest]) and b"started",
    "kill-dispatcher": _kill_dispatcher,
    "kill-warm": _kill_warm,
}

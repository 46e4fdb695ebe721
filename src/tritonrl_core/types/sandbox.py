"""One piece of untrusted work, what it may use and how it ended."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """What one sandboxed job may use. `output_bytes` bounds what it may send back."""

    wall_s: float = 30.0
    cpu_s: float = 30.0
    memory_bytes: int = 4 << 30
    output_bytes: int = 16 << 20


@dataclass(frozen=True, slots=True)
class SandboxJob:
    """One piece of untrusted work for `sandbox_exec`: run `entry` in a new child process, with its limits.

    `entry` takes nothing and returns the bytes to send back; whatever else it does is untrusted. `profile` is `record`,
    `interpret` or `compile`. `keep_fds` are the descriptors that the child may keep (shared memory for tensors).
    Called in a single-threaded, warm process that owns no secret and no GPU.
    """

    entry: Callable[[], bytes]
    limits: Limits
    profile: str
    keep_fds: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class SandboxResult:
    """How a sandboxed job ended: `ok`, `timeout`, `memory`, `output` (sent too much), `died` (signal or exit) or
    `refused` (the sandbox itself could not be set up; nothing ran). `payload` is untrusted bytes.
    """

    outcome: str
    payload: bytes = b""
    detail: str = ""
    sandbox: str = "none"
    seconds: float = 0.0

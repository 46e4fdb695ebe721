"""seccomp: the list of syscalls that a confined process may make, as a BPF program assembled here.

What is allowed is decided in `profiles`; this file turns it into a program and loads it. A syscall of a foreign
architecture (32-bit, x32) kills the process; any other that is not listed fails with EPERM.
"""

from __future__ import annotations

import ctypes
import errno
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tritonrl_plugin_sandbox.linux import PR_GET_SECCOMP, prctl, syscall
from tritonrl_plugin_sandbox.tables import Arch

KILL_PROCESS, ALLOW, ERRNO = 0x80000000, 0x7FFF0000, 0x00050000
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER, _ARCH, _ARGUMENTS = 0, 4, 16
_X32 = 0x40000000
_SET_MODE_FILTER, _FILTER_TSYNC = 1, 1

OWN_PID = 0x7E57_1D00
"""Stands in a program for the id of the process that will load it; no real id is that large."""

Instruction = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class Check:
    """A condition on one argument (its lower 32 bits, which is all that the kernel looks at in those used here).

    It holds when the value is `one_of` these and has none of the bits `without` and all of the bits `with_all`.
    `null` asks that all 64 bits are zero.
    """

    argument: int
    one_of: tuple[int, ...] = ()
    without: int = 0
    with_all: int = 0
    null: bool = False


@dataclass(frozen=True, slots=True)
class Rules:
    """Syscalls by name: `allowed` outright, `checked` where every check holds, `failing` with a given errno.

    A name that the architecture lacks is skipped. `otherwise` is the errno of a checked syscall whose check fails.
    """

    allowed: frozenset[str]
    checked: Mapping[str, tuple[Check, ...]] = field(default_factory=dict)
    failing: Mapping[str, int] = field(default_factory=dict)
    otherwise: Mapping[str, int] = field(default_factory=dict)


def assemble(rules: Rules, arch: Arch) -> bytes:
    """The BPF program of the rules. `for_process` must put the process's id in before it is loaded."""
    program: list[Instruction] = [
        (_LOAD, 0, 0, _ARCH), (_EQUAL, 1, 0, arch.audit), (_RETURN, 0, 0, KILL_PROCESS), (_LOAD, 0, 0, _NUMBER),
    ]
    if arch.name == "x86_64":
        program += [(_AT_LEAST, 0, 1, _X32), (_RETURN, 0, 0, KILL_PROCESS)]
    for name, error in rules.failing.items():
        program += _on(arch, name, [(_RETURN, 0, 0, ERRNO | error)])
    for name, checks in rules.checked.items():
        refusal = ERRNO | rules.otherwise.get(name, errno.EPERM)
        program += _on(arch, name, [*_all_hold(checks, refusal), (_RETURN, 0, 0, ALLOW)])
    for name in sorted(rules.allowed):
        program += _on(arch, name, [(_RETURN, 0, 0, ALLOW)])
    program.append((_RETURN, 0, 0, ERRNO | errno.EPERM))
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in program)


def for_process(program: bytes, pid: int) -> bytes:
    """The program with `OWN_PID` replaced by a process id. (No other four bytes of a program look like it.)"""
    return program.replace(struct.pack("=I", OWN_PID), struct.pack("=I", pid))


def load(program: bytes) -> None:
    """Bind every thread of this process, for good. Needs `no_new_privs`."""
    instructions = ctypes.create_string_buffer(program, len(program))
    header = ctypes.create_string_buffer(struct.pack("@HP", len(program) // 8, ctypes.addressof(instructions)), 16)
    blocked = syscall("seccomp", _SET_MODE_FILTER, _FILTER_TSYNC, header)
    if blocked > 0:
        raise OSError(errno.EBUSY, f"seccomp: thread {blocked} cannot take the filter")


def available() -> bool:
    """Whether the kernel has seccomp at all; `host` finds out whether a filter can be loaded."""
    try:
        prctl(PR_GET_SECCOMP)
    except OSError:
        return False
    return True


def _on(arch: Arch, name: str, body: list[Instruction]) -> list[Instruction]:
    """Run `body`, which returns on every path, when the syscall is `name`. The number is in the accumulator."""
    number = arch.numbers.get(name)
    if number is None:
        return []
    if len(body) > 255:
        raise ValueError(f"the checks of {name} are too long for one jump")
    return [(_EQUAL, 0, len(body), number), *body]


def _all_hold(checks: Sequence[Check], refusal: int) -> list[Instruction]:
    """Fall through where every check holds, return `refusal` where one does not."""
    refuse = (_RETURN, 0, 0, refusal)
    out: list[Instruction] = []
    for check in checks:
        low = _ARGUMENTS + 8 * check.argument
        if check.null:
            for offset in (low, low + 4):
                out += [(_LOAD, 0, 0, offset), (_EQUAL, 1, 0, 0), refuse]
            continue
        out.append((_LOAD, 0, 0, low))
        if check.without:
            out += [(_ANY_BIT, 0, 1, check.without), refuse]
        for bit in (1 << n for n in range(32) if check.with_all >> n & 1):
            out += [(_ANY_BIT, 1, 0, bit), refuse]
        for position, value in enumerate(check.one_of):
            past_refusal = len(check.one_of) - position
            out.append((_EQUAL, past_refusal, 0, value))
        if check.one_of:
            out.append(refuse)
    return out

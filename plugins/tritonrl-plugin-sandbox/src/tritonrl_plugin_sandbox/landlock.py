"""Landlock: the kernel's unprivileged rules about files, TCP, signals and abstract unix sockets.

Everything that the kernel's version (ABI) can handle is denied unless a rule allows it. Rules are about path
hierarchies and bind the calling thread and what it starts, so they are applied while there is one thread. Not covered
by any version here: `stat`, changes of mode and time, UDP, unix sockets with a path; seccomp covers those.
Source: the kernel's userspace-api/landlock documentation.
"""

from __future__ import annotations

import ctypes
import errno
import os
import stat
import struct
from collections.abc import Mapping

from tritonrl_plugin_sandbox.linux import syscall

EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = 1, 2, 4, 8
REMOVE_DIR, REMOVE_FILE, MAKE_DIR, MAKE_REG, REFER, TRUNCATE, IOCTL_DEV = 16, 32, 128, 256, 1 << 13, 1 << 14, 1 << 15
READ = READ_FILE | READ_DIR
SCRATCH = READ | WRITE_FILE | REMOVE_DIR | REMOVE_FILE | MAKE_DIR | MAKE_REG | REFER | TRUNCATE
"""What a scratch folder allows: ordinary files and folders, no links, sockets, pipes or device nodes."""

_ON_FILES = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV
_FS_RIGHTS = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 4: (1 << 15) - 1, 5: (1 << 16) - 1}
"""File rights that each ABI knows; 5 and later know all sixteen that are used here."""
_TCP = 3
_SCOPES = 3
_QUIET = 1
_VERSION = 1
_RULE_PATH_BENEATH = 1


def abi() -> int:
    """The kernel's Landlock version; 0 where there is none (not built in, switched off, or denied)."""
    try:
        return syscall("landlock_create_ruleset", None, 0, _VERSION)
    except OSError:
        return 0


def ruleset(rules: Mapping[str, int], version: int, *, network: bool = False) -> int:
    """A ruleset that grants each path its rights and denies the rest; returns its descriptor.

    `version` is the ABI to use (at most the kernel's). A path that does not exist or cannot be reached is left out:
    that grants less, never more. `network` leaves TCP and abstract sockets alone.
    """
    handled = _FS_RIGHTS[min(version, max(_FS_RIGHTS))]
    tcp = _TCP if version >= 4 and not network else 0
    scopes = 0 if version < 6 else (2 if network else _SCOPES)
    size = 8 if version < 4 else (16 if version < 6 else 24)
    attributes = ctypes.create_string_buffer(struct.pack("=QQQ", handled, tcp, scopes), 24)
    descriptor = syscall("landlock_create_ruleset", attributes, size, 0)
    try:
        for path, rights in rules.items():
            _allow(descriptor, path, rights & handled)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def restrict_self(descriptor: int, version: int) -> None:
    """Bind this thread, for good. Needs `no_new_privs`. Denials are kept out of the audit log where that is known."""
    syscall("landlock_restrict_self", descriptor, _QUIET if version >= 7 else 0)


def _allow(descriptor: int, path: str, rights: int) -> None:
    try:
        target = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.EACCES, errno.ENOTDIR, errno.ELOOP):
            return
        raise
    try:
        if not stat.S_ISDIR(os.fstat(target).st_mode):
            rights &= _ON_FILES
        if rights:
            rule = ctypes.create_string_buffer(struct.pack("=Qi", rights, target), 12)
            syscall("landlock_add_rule", descriptor, _RULE_PATH_BENEATH, rule, 0)
    finally:
        os.close(target)

"""A scratch folder on disk, for hosts where the child cannot have a tmpfs of its own: measured while it is used, and
emptied whatever it holds. What lies in it was made by untrusted code (no links: Landlock lets it make none).
"""

from __future__ import annotations

import contextlib
import itertools
import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tritonrl_plugin_sandbox.view import SCRATCH_BYTES, SCRATCH_FILES

DEEPEST = 32
"""Folders in one another. Triton's cache needs two."""

_LIFTED = "\x01lifted-"


@contextlib.contextmanager
def folder_on_disk(owner: int | None) -> Iterator[str]:
    """A new folder that belongs to `owner` (None: to this user); emptied and removed at the end."""
    folder = tempfile.mkdtemp(prefix=f"tritonrl-sandbox-{os.getpid()}-")
    try:
        if owner is not None:
            os.chown(folder, owner, owner)
        yield folder
    finally:
        empty(folder)
        Path(folder).rmdir()


def too_full(folder: str) -> bool:
    """Whether the folder holds more than a child may write. Looks at no more entries than that many."""
    size = count = 0
    left = [Path(folder)]
    deepest = len(left[0].parts) + DEEPEST
    try:
        while left:
            here = left.pop()
            if len(here.parts) > deepest:
                return True
            for entry in here.iterdir():
                found = entry.lstat()
                size, count = size + 512 * found.st_blocks, count + 1
                if size > SCRATCH_BYTES or count > SCRATCH_FILES:
                    return True
                if stat.S_ISDIR(found.st_mode):
                    left.append(entry)
    except FileNotFoundError:
        return False  # it changed under our eyes: the next look will tell
    except OSError:
        return True  # closed: nobody who compiles does that
    return False


def empty(folder: str) -> None:
    """Remove everything in the folder: any depth, any modes, without following anything.

    Folders are lifted to the top before they are removed, so no path grows long and nothing recurses.
    """
    top, lifted = Path(folder), itertools.count()
    while entries := list(top.iterdir()):
        for entry in entries:
            if not _is_folder(entry):
                entry.unlink()
                continue
            entry.chmod(stat.S_IRWXU)
            for inner in list(entry.iterdir()):
                if _is_folder(inner):
                    inner.chmod(stat.S_IRWXU)
                    inner.rename(top / f"{_LIFTED}{next(lifted)}")
                else:
                    inner.unlink()
            entry.rmdir()


def _is_folder(path: Path) -> bool:
    return stat.S_ISDIR(path.lstat().st_mode)

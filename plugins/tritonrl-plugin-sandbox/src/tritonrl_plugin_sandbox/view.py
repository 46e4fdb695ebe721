"""What a child in a mount namespace sees: a root folder with the software in it and nothing else, not even by name.

Landlock decides what may be opened; this hides that anything else exists (`stat` asks no one).
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISDIR, S_ISLNK

from tritonrl_plugin_sandbox import linux
from tritonrl_plugin_sandbox.linux import mode_of

SCRATCH = "/scratch"
SCRATCH_BYTES, SCRATCH_FILES = 256 << 20, 4096

_PLACE = "/proc"
"""Where the new root is built: a folder that every host has and that no software lies below."""
_ROOT_OPTIONS = "size=1m,nr_inodes=1000,mode=0755"
_MANY_LINKS = 1000
_FLAGS = linux.MS_NOSUID | linux.MS_NODEV | linux.MS_NOEXEC


@dataclass(frozen=True, slots=True)
class View:
    """Paths that the new root shows: folders and files as they are, and the links that lead to them.

    `ways` are the folders to make for all of these to lie in, outer ones first.
    """

    ways: tuple[str, ...]
    folders: tuple[str, ...]
    files: tuple[str, ...]
    links: tuple[tuple[str, str], ...]


def view_of(paths: Iterable[str]) -> View:
    """The view that shows these paths under the names given. What this user cannot get to is left out."""
    links: dict[Path, str] = {}
    real = sorted({_resolve(path, links) for path in paths})
    folders: list[Path] = []
    for path in real:
        if S_ISDIR(mode_of(path)) and not _below(path, folders):
            folders.append(path)
    files = [path for path in real if mode_of(path) and not S_ISDIR(mode_of(path)) and not _below(path, folders)]
    outside = {name: target for name, target in links.items() if not _below(name, folders)}
    ways = {parent for path in (*folders, *files, *outside) for parent in path.parents} | set(folders)
    return View(
        ways=tuple(str(way) for way in sorted(ways) if way != Path("/")),
        folders=tuple(map(str, folders)),
        files=tuple(map(str, files)),
        links=tuple((str(name), target) for name, target in outside.items()),
    )


def enter(view: View, *, scratch_owner: int | None) -> None:
    """Make the view this process's root, for good. Needs a mount namespace and the right to mount in it.

    With an owner there is a private, size-limited, empty folder at `SCRATCH`.
    """
    linux.mount("none", "/", None, linux.MS_REC | linux.MS_PRIVATE)
    linux.mount("tmpfs", _PLACE, "tmpfs", _FLAGS, _ROOT_OPTIONS)
    for way in view.ways:
        Path(_PLACE + way).mkdir()
    for folder in view.folders:
        linux.mount(folder, _PLACE + folder, None, linux.MS_BIND | linux.MS_REC)
    for name in view.files:
        Path(_PLACE + name).touch(mode=0o600)
        linux.mount(name, _PLACE + name, None, linux.MS_BIND)
    for name, target in view.links:
        Path(_PLACE + name).symlink_to(target)
    if scratch_owner is not None:
        Path(_PLACE + SCRATCH).mkdir()
        options = f"size={SCRATCH_BYTES},nr_inodes={SCRATCH_FILES},mode=0700,uid={scratch_owner},gid={scratch_owner}"
        linux.mount("tmpfs", _PLACE + SCRATCH, "tmpfs", _FLAGS, options)
    linux.mount("none", _PLACE, None, linux.MS_REMOUNT | linux.MS_BIND | linux.MS_RDONLY | _FLAGS)
    # Not pivot_root: unmounting the old root makes the kernel wait for all cores. Nobody comes out of a chroot without
    # an open descriptor to the outside (they are closed) or the right to chroot again (it is given up).
    os.chroot(_PLACE)
    os.chdir("/")


def _below(path: Path, folders: Iterable[Path]) -> bool:
    return any(folder in path.parents for folder in folders)


def _resolve(path: str, links: dict[Path, str]) -> Path:
    """The real path; every link on the way is noted with what it points to."""
    done, left = Path("/"), _parts(path)
    while left:
        part = left.pop(0)
        here = done.parent if part == ".." else done / part
        if not S_ISLNK(mode_of(here, follow=False)) or len(links) > _MANY_LINKS:
            done = here
            continue
        links[here] = target = str(here.readlink())
        left = _parts(target) + left
        done = Path("/") if target.startswith("/") else done
    return done


def _parts(path: str) -> list[str]:
    return [part for part in path.split("/") if part not in ("", ".")]

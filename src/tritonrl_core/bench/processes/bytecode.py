"""Where processes keep the bytecode of what they import, so that torch and Triton are not compiled anew in each.

Installers that leave no bytecode, in a folder that nobody may write or under `PYTHONDONTWRITEBYTECODE` (images for GPUs
are often made so), make every start compile some thousand modules: a recorder then takes 9.5 s of CPU to get ready
instead of 3.8. There bytecode is kept in the user's cache; everywhere else Python does as it always does. Nothing of a
candidate's is ever kept: the children that run its Python have been told to write none (`warm`), and may not.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path

FLAG, PREFIX = "PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX"


def folder() -> Path | None:
    """The folder for bytecode; None where torch has its own beside it, or will have after its first import."""
    package = importlib.util.find_spec("torch")
    if package is None or package.origin is None:
        return None
    source = Path(package.origin)
    beside = source.parent / "__pycache__"
    if (beside / f"{source.stem}.{sys.implementation.cache_tag}.pyc").exists():
        return None
    if FLAG not in os.environ and os.access(beside if beside.exists() else source.parent, os.W_OK):
        return None
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tritonrl" / "bytecode"


def environment() -> dict[str, str]:
    """Variables for a process of ours, which keeps bytecode there; none where Python's own way will do."""
    place = folder()
    return {} if place is None else {FLAG: "", PREFIX: str(place)}


def keep() -> None:
    """Let this process keep bytecode as those do that it starts. For a program's own start, before it imports torch."""
    place = folder()
    if place is not None:
        sys.pycache_prefix, sys.dont_write_bytecode = str(place), False

"""Which of the sizes that a benchmark asks for there are GPUs enough for."""

from __future__ import annotations

import sys
from collections.abc import Mapping


def possible(needed: Mapping[str, int], gpus: int) -> list[str]:
    """What so many GPUs are enough for, of what needs some; the rest is told."""
    for name, count in needed.items():
        if count > gpus:
            print(f"{name} is left out: it needs {count} GPUs, and there are {gpus}", file=sys.stderr)
    return [name for name, count in needed.items() if count <= gpus]

"""Data sets of references on the hub, fetched once and kept as JSONL."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tritonrl_core import hub
from tritonrl_core.errors import TaskError
from tritonrl_core.tasks.memo import cache_folder

_LEVEL = re.compile(r"level_?(\d+)", re.IGNORECASE)


def fetched(name: str) -> Path:
    """The file of lines (`id`, `source`, `level`) of a data set with columns `code`, `name` and `level`.

    Fetching needs the network once; afterwards it lies in `$TRITONRL_CACHE` (default `~/.cache/tritonrl`). Raises
    `TaskError`.
    """
    cached = cache_folder() / "datasets" / f"{name.replace('/', '--')}.jsonl"
    if cached.is_file():
        return cached
    rows = list(_fetch(name))
    if not rows:
        raise TaskError(f"dataset {name} has no column `code`", remedy="Name a dataset in KernelBench form.")
    cached.parent.mkdir(parents=True, exist_ok=True)
    partial = cached.with_suffix(f".{os.getpid()}")
    partial.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    partial.replace(cached)
    return cached


def level_in(name: str) -> int:
    """The level that a folder or a split is named for, as KernelBench's are (`level1`, `level_2`); 1 for all others."""
    level = _LEVEL.search(name)
    return int(level[1]) if level else 1


def _fetch(name: str) -> Iterable[dict[str, Any]]:
    """Rows of a dataset as JSONL fields. The boundary to the hub: whatever goes wrong becomes one message.

    What the hub is asked first settles that there is such a dataset; reading it may fail by its files still, the disk
    or the network, in errors of as many libraries.
    """
    remedy = "Connect to the network once, or download its files and give their folder instead."
    reason = hub.missing("dataset", name)
    if reason and not hub.cached_dataset(name):
        raise TaskError(f"dataset {name}: not in the local cache, and {reason}", remedy=remedy)
    try:
        from datasets import load_dataset

        splits = load_dataset(name)
    except Exception as error:
        raise TaskError(f"dataset {name}: could not be fetched: {hub.cause(error)}", remedy=remedy) from error
    for split, rows in splits.items():
        level = level_in(str(split))
        for number, row in enumerate(rows):
            if isinstance(row.get("code"), str):
                task_id = str(row.get("name") or f"{split}-{number}")
                rank = int(row.get("level") or level)
                yield {"id": task_id, "source": row["code"], "level": rank}

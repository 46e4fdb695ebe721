"""A run's folder, opened to write or looked into: what was run, its scores and figures, where its checkpoints lie."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import yaml

from tritonrl_core.errors import UsageError
from tritonrl_core.runs.journal import Journal, all_rows, read_journal, take_away_torn_line
from tritonrl_core.runs.rows import plain, score_from_data, score_to_data
from tritonrl_core.types import Score, Status, content_key

PRESET_FILE = "preset.resolved.yaml"
LOCK_FILE = "plugins.lock.json"
SCORES_FILE = "scores.jsonl"
METRICS_FILE = "metrics.jsonl"
EVAL_FILE = "eval.json"
"""In the folder of an evaluation: what was asked."""


@dataclass(frozen=True, slots=True)
class RunPaths:
    """Where things lie in a run's folder."""

    root: Path

    @property
    def preset(self) -> Path:
        return self.root / PRESET_FILE

    @property
    def lock(self) -> Path:
        return self.root / LOCK_FILE

    @property
    def scores(self) -> Path:
        return self.root / SCORES_FILE

    @property
    def metrics(self) -> Path:
        return self.root / METRICS_FILE

    @property
    def tensorboard(self) -> Path:
        return self.root / "tensorboard"

    def checkpoints(self, stage: str) -> Path:
        return self.root / "checkpoints" / stage


class Run:
    """An open run folder. `verification` is the key of everything a verdict depends on beside task and code.

    One process at a time may go on with a run, and it says `repair`; other ranks of it do not. Raises `UsageError`
    where another process is at work in the folder.
    """

    def __init__(self, root: Path, verification: str, *, repair: bool = True) -> None:
        self.paths = RunPaths(root)
        self.verification = verification
        self._scores = Journal(self.paths.scores, repair=False)
        if repair:
            self._claim()
        self._metrics = Journal(self.paths.metrics, repair=repair)

    def _claim(self) -> None:
        if not self._scores.claim():
            self._scores.close()
            raise UsageError(
                f"{self.paths.root} is in use: another process is at work in it",
                remedy="Wait until it has ended, or end it.",
            )
        take_away_torn_line(self.paths.scores)  # nobody is in the middle of one now

    @classmethod
    def create(
        cls, root: Path, preset: Mapping[str, Any], lock: Mapping[str, Any], *, subfolders: bool = True
    ) -> Run:
        """Start a new folder, with subfolders for training. Raises `UsageError` where it already holds a run."""
        paths = RunPaths(root)
        if paths.preset.exists():
            raise UsageError(
                f"{root} already holds a run.", remedy=f"Go on with it by --resume {root}, or name another."
            )
        root.mkdir(parents=True, exist_ok=True)
        if subfolders:
            paths.tensorboard.mkdir(exist_ok=True)
            paths.checkpoints("").mkdir(exist_ok=True)
        paths.lock.write_text(json.dumps(plain(lock), indent=2) + "\n")
        _write_whole(paths.preset, yaml.safe_dump(plain(preset), sort_keys=False, allow_unicode=True))
        return cls(root, verification_key(preset, lock))

    @classmethod
    def open(cls, root: Path, *, repair: bool = True) -> Run:
        """Open an existing folder to go on with it. Raises `UsageError` where it holds no run."""
        preset, lock = read_run(root)
        return cls(root, verification_key(preset, lock), repair=repair)

    def append_score(self, score: Score, stage: str = "rl") -> None:
        self._scores.append({**score_to_data(score), "stage": stage, "verification": self.verification})

    def append_metrics(self, stage: str, step: int, values: Mapping[str, Any]) -> None:
        self._metrics.append({"stage": stage, "step": step, "time": round(time.time(), 3), **values})

    def supersede(self, stage: str, steps_done: int) -> None:
        """Mark what was written past a checkpoint of a stage: the run goes on from there.

        `steps_done` optimiser steps are in the checkpoint. Metrics are written when a step is done (1, 2, …), scores
        before it (0, 1, …).
        """
        now = round(time.time(), 3)
        self._metrics.append({"superseded_after": steps_done, "stage": stage, "time": now})
        if stage == "rl":
            self._scores.append({"superseded_after": steps_done - 1, "stage": stage, "time": now})

    def known_scores(self) -> list[Score]:
        """All scores that this verification gave, superseded ones too: what need not be judged again."""
        return [
            score_from_data(row)
            for row in all_rows(self.paths.scores)
            if row.get("verification") == self.verification and row["verdict"]["status"] != Status.INFRA
        ]

    def sync(self) -> None:
        self._scores.sync()
        self._metrics.sync()

    def close(self) -> None:
        self._scores.close()
        self._metrics.close()


def new_run_folder(preset_name: str, root: Path = Path("runs")) -> Path:
    """`runs/<preset>-<time>`, with a number behind it where that is taken."""
    stem = f"{preset_name}-{datetime.now():%Y%m%d-%H%M%S}"
    folder, number = root / stem, 2
    while folder.exists():
        folder, number = root / f"{stem}-{number}", number + 1
    return folder


def read_run(root: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Resolved preset and plugin lock of a run. Raises `UsageError` where `root` holds none."""
    paths = RunPaths(root)
    missing = _what_is_not_there(paths)
    if missing:
        raise UsageError(
            f"{root} is not a run's folder: {missing}",
            remedy=f"Name a folder that `tritonrl train` made; it has {PRESET_FILE} and {LOCK_FILE} in it.",
        )
    return _mapping(paths.preset, yaml.safe_load), _mapping(paths.lock, json.loads)


def _what_is_not_there(paths: RunPaths) -> str:
    """What a folder lacks to be a run's, in words; "" where it has all files."""
    if not paths.root.is_dir():
        return "there is no such folder"
    return next((f"it has no {path.name}" for path in (paths.preset, paths.lock) if not path.exists()), "")


def _mapping(path: Path, parse: Callable[[str], Any]) -> dict[str, Any]:
    """The mapping that a file holds. Raises `UsageError` where it holds none."""
    try:
        held = parse(path.read_text())
    except (OSError, ValueError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise UsageError(f"{path} cannot be read: {reason}", remedy="Put back what the run wrote there.") from error
    if not isinstance(held, dict):
        raise UsageError(f"{path} does not hold keys and values", remedy="Put back what the run wrote there.")
    return held


def began_as(model: str) -> str:
    """The model that the run began with which a checkpoint lies in; any other model is what it is."""
    place = Path(model).expanduser()
    for folder in place.parents if model and place.is_dir() else ():
        if (folder / PRESET_FILE).is_file():
            name = str(read_run(folder)[0].get("train", {}).get("model", model))
            return name if name == model else began_as(name)
    return model


def read_scores(root: Path, *, superseded: bool = False) -> Iterator[Score]:
    """Scores of a run in the order they came; with `superseded`, also those that a resumed run left behind."""
    path = RunPaths(root).scores
    rows: Iterable[dict[str, Any]] = all_rows(path) if superseded else read_journal(path)
    for row in rows:
        if "superseded_after" not in row:
            yield score_from_data(row)


def read_metrics(root: Path) -> Iterator[dict[str, Any]]:
    """Rows of `metrics.jsonl` that count."""
    return read_journal(RunPaths(root).metrics)


def verification_key(preset: Mapping[str, Any], lock: Mapping[str, Any]) -> str:
    """Key of what a verdict depends on beside task and code: verifier, reward, plugins, seed and versions at work."""
    parts = [preset.get(name) for name in ("verifier", "reward", "plugins", "owners", "seed")]
    return content_key(parts, lock, installed_versions())


def installed_versions() -> dict[str, str]:
    """Versions of what judges a kernel. Reads metadata; imports nothing."""
    found: dict[str, str] = {}
    for name in ("tritonrl-core", "torch", "triton", "numpy"):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "absent"
    return found


def _write_whole(path: Path, text: str) -> None:
    """Write a file so that it is either whole or not there."""
    half = path.with_suffix(".tmp")
    half.write_text(text)
    half.replace(path)

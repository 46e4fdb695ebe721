"""A run's folder: the resolved preset, the plugin lock, every score and every figure, checkpoints.

    runs/<preset>-<time>/
        preset.resolved.yaml  plugins.lock.json   what was run
        scores.jsonl  metrics.jsonl               append-only, one JSON object a line
        tensorboard/  checkpoints/<stage>/        events · checkpoint-<step>/

Each line is one `write`, so a killed process leaves at most one torn line at the end, which the next opening takes
away. What was written is safe from a kill at once and from a power cut at each `sync`. Lines are never changed: a
resumed run appends a marker which says that what came after its checkpoint is superseded.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from importlib import metadata
from math import isfinite
from pathlib import Path
from typing import Any

import yaml

from tritonrl_core.errors import UsageError
from tritonrl_core.types import (
    SCORE_SCHEMA,
    Candidate,
    RewardParts,
    Score,
    Stage,
    Status,
    Timing,
    Verdict,
    WorstElement,
    content_key,
)

PRESET_FILE = "preset.resolved.yaml"
LOCK_FILE = "plugins.lock.json"
SCORES_FILE = "scores.jsonl"
METRICS_FILE = "metrics.jsonl"
EVAL_FILE = "eval.json"
"""In the folder of an evaluation: what was asked."""


class Journal:
    """An append-only file of JSON lines that survives a kill at any moment.

    Several processes of one machine may append to one file (each line is one O_APPEND write); only one may `repair`.
    """

    def __init__(self, path: Path, *, repair: bool = True) -> None:
        self.path = path
        if repair and path.exists():
            _take_away_torn_line(path)
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)

    def claim(self) -> bool:
        """Keep other processes from claiming this file as long as it is open here; False where one has.

        The system lets go of it however a process ends. True as well on a disk that knows no locks.
        """
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:
            return True
        return True

    def append(self, row: Mapping[str, Any]) -> None:
        line = json.dumps(plain(row), separators=(",", ":"), allow_nan=False) + "\n"
        os.write(self._file, line.encode())

    def sync(self) -> None:
        """Wait until all lines are on the disk."""
        os.fsync(self._file)

    def close(self) -> None:
        """Sync and close. Safe to call twice."""
        if self._file >= 0:
            self.sync()
            os.close(self._file)
            self._file = -1


def read_journal(path: Path) -> Iterator[dict[str, Any]]:
    """Rows of a journal, without those that a later marker superseded (`step` past the marker's `after_step`).

    A torn last line is passed over. Raises `UsageError` for a malformed line anywhere else.
    """
    rows: list[dict[str, Any]] = []
    for row in _all_rows(path):
        if "superseded_after" in row:
            limit, stage = row["superseded_after"], row.get("stage")
            rows = [kept for kept in rows if kept.get("stage") != stage or kept.get("step", -1) <= limit]
        else:
            rows.append(row)
    yield from rows


def _all_rows(path: Path) -> Iterator[dict[str, Any]]:
    """Every row ever written, markers too."""
    if not path.exists():
        return
    lines = path.read_bytes().split(b"\n")
    for number, line in enumerate(lines, 1):
        try:
            row = json.loads(line)
        except ValueError as error:
            if number == len(lines):
                return
            raise UsageError(
                f"{path}:{number}: not a JSON line: {error}", remedy="Take this line out; all others are whole."
            ) from error
        yield row


def _take_away_torn_line(path: Path) -> None:
    """Cut what follows the last newline: a line that a kill tore."""
    with path.open("r+b") as file:
        data = file.read()
        whole = data.rfind(b"\n") + 1
        if whole < len(data):
            file.truncate(whole)


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
        _take_away_torn_line(self.paths.scores)  # nobody is in the middle of one now

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
            for row in _all_rows(self.paths.scores)
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
    try:
        preset = yaml.safe_load(paths.preset.read_text())
        lock = json.loads(paths.lock.read_text())
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise UsageError(
            f"{root} is not a run's folder: {error}",
            remedy=f"Name a folder that `tritonrl train` made; it has {PRESET_FILE} and {LOCK_FILE} in it.",
        ) from error
    return preset, lock


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
    rows: Iterable[dict[str, Any]] = _all_rows(path) if superseded else read_journal(path)
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


def score_to_data(score: Score) -> dict[str, Any]:
    """A score as plain data. The correct way back is `score_from_data`."""
    return asdict(score)


def score_from_data(row: Mapping[str, Any]) -> Score:
    """A score from a line of `scores.jsonl`. Raises `UsageError` for a line of a later schema or without its fields."""
    if row.get("schema", 0) > SCORE_SCHEMA:
        raise UsageError(
            f"A score of schema {row['schema']}; this version reads up to {SCORE_SCHEMA}.",
            remedy="pip install --upgrade tritonrl-core",
        )
    try:
        return Score(
            task_id=row["task_id"],
            level=row["level"],
            task_key=row["task_key"],
            candidate=_candidate(row["candidate"]),
            verdict=_verdict(row["verdict"]),
            timing=_timing(row["timing"]) if row["timing"] else None,
            reward=RewardParts(**{name: _number(row["reward"][name]) for name in ("correctness", "speed")}),
            family=row["family"],
            step=row["step"],
            group=row["group"],
            cached=row["cached"],
            seconds=row["seconds"],
            schema=row["schema"],
        )
    except (KeyError, TypeError) as error:
        raise UsageError(f"Not a score: {error!r} in {str(row)[:200]}", remedy="Is this a scores.jsonl?") from error


def _candidate(row: Mapping[str, Any]) -> Candidate:
    spans = {name: tuple(row[name]) if row[name] else None for name in ("plan_span", "code_span")}
    return Candidate(**{**row, **spans})


def _verdict(row: Mapping[str, Any]) -> Verdict:
    worst = row["worst"]
    return Verdict(
        **{
            **row,
            "status": Status(row["status"]),
            "stage": Stage(row["stage"]),
            "worst_error": _number(row["worst_error"]),
            "worst": WorstElement(
                output=worst["output"],
                index=tuple(worst["index"]),
                **{name: float(worst[name]) for name in ("got", "expected", "allowed")},
            )
            if worst
            else None,
            "unchecked": tuple(row["unchecked"]),
        }
    )


def _timing(row: Mapping[str, Any]) -> Timing:
    return Timing(
        **{
            **row,
            "candidate_us": tuple(map(float, row["candidate_us"])),
            "baseline_us": {name: tuple(map(float, us)) for name, us in row["baseline_us"].items()},
            **{name: float(row[name]) for name in ("speedup", "speedup_low", "speedup_high")},
            "notes": tuple(row["notes"]),
            "speedups": {name: tuple(map(float, three)) for name, three in row.get("speedups", {}).items()},
            "status": Status(row.get("status", Status.PASSED)),
        }
    )


def _number(value: Any) -> float | None:
    return None if value is None else float(value)


def plain(value: Any) -> Any:
    """Plain JSON: nan and the infinities, which JSON has not, become strings that `float()` takes back."""
    match value:
        case Mapping():
            return {str(key): plain(item) for key, item in value.items()}
        case list() | tuple() | set() | frozenset():
            return [plain(item) for item in value]
        case bool() | int() | None:
            return value
        case float():
            return value if isfinite(value) else str(value)
        case str():
            return str(value)
    return str(value)


def _write_whole(path: Path, text: str) -> None:
    """Write a file so that it is either whole or not there."""
    half = path.with_suffix(".tmp")
    half.write_text(text)
    half.replace(path)

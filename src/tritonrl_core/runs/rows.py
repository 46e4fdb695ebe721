"""A score as plain JSON and back: one line of `scores.jsonl`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from math import isfinite
from typing import Any

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
)


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

"""What a run comes to: the figures at its top, the funnel, the reasons, families, best kernels and where time went.

Everything is plain data, as the page's scripts read it. Draws nothing.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any

from tritonrl_core.evaluate.figures import FEWEST_TASKS, Estimate, bootstrap_interval, by_task, report
from tritonrl_core.evaluate.tables import estimate_data, shown_figures
from tritonrl_core.report.load import RunData
from tritonrl_core.types import Score, Stage, Status

STAGE_NAMES: Mapping[Stage, str] = {
    Stage.AST: "read the code",
    Stage.RECORD: "record its launches",
    Stage.COMPILE: "compile for the target",
    Stage.TINY: "run on a tiny input",
    Stage.FULL: "compare with the reference",
    Stage.TIMING: "time it",
}

MOST_REASONS = 14
MOST_SAID = 110
"""Characters of a reason that is shown in one line."""

_CASE = re.compile(r"^input case [^:]*: ")
_LINE = re.compile(r"^line \d+: ")
_NUMBER = re.compile(r"(?<![A-Za-z_0-9])[-+]?(?:\d[\d.]*(?:e[-+]?\d+)?)\b", re.IGNORECASE)
_INDEX = re.compile(r"\[[-\d, …#]*\]")
_COMPILER = re.compile(r"CompilationError: at \d+:\d+:.*", re.DOTALL)


def headline(run: RunData) -> dict[str, Any]:
    """The figures at the top: held-out results before and after, counts, tasks solved, the best speedup."""
    scores = run.scores
    solved = {score.task_key for score in scores if score.verdict.status is Status.PASSED}
    evals = {str(row.get("when")): row for row in run.metrics if row.get("stage") == "eval"}
    return {
        "held_out": {when: _held_out(row) for when, row in evals.items()},
        "candidates": len(scores),
        "different": len({(score.task_key, score.candidate.key) for score in scores}),
        "tasks": len({score.task_key for score in scores}),
        "solved": len(solved),
        "statuses": dict(Counter(score.verdict.status.value for score in scores)),
        "estimated": any(score.timing.estimated for score in scores if score.timing),
    }


def _held_out(row: Mapping[str, Any]) -> dict[str, Any]:
    names = ("correct", "correct_low", "correct_high", "samples", "valid")
    return {f"{kind}_{name}": row.get(f"{kind}/{name}") for kind in ("sampled", "greedy") for name in names}


def evaluation_figures(run: RunData) -> list[dict[str, Any]]:
    """An evaluation's figures by level and family, each with its interval; [] for a training."""
    if run.question is None:
        return []
    found = report(run.scores)
    parts = [found.overall, *found.levels, *(found.families if len(found.families) > 1 else ())]
    names = shown_figures(found.overall.figures)
    return [
        {
            "name": part.name,
            "tasks": part.tasks,
            "samples": part.samples,
            "figures": {
                name: estimate_data(part.figures.get(name, Estimate(float("nan"), float("nan"), float("nan"))))
                for name in names
            },
        }
        for part in parts
    ]


def funnel(scores: Sequence[Score]) -> list[dict[str, Any]]:
    """Stages in order: how many came in, how many each status stopped there, what one that stopped there cost (mean
    seconds of one worker). Repeats of code that was judged before, and INFRA, are left out.
    """
    judged = [score for score in scores if not score.cached and score.verdict.status is not Status.INFRA]
    order = [stage for stage in Stage if stage is not Stage.TIMING]
    place = {stage: min(number, len(order) - 1) for number, stage in enumerate(Stage)}
    rows = []
    for number, stage in enumerate(order):
        inside = [score for score in judged if place[score.verdict.stage] >= number]
        here = [score for score in inside if place[score.verdict.stage] == number]
        stopped = [score for score in here if score.verdict.status is not Status.PASSED]
        if not here:
            continue
        rows.append(
            {
                "stage": stage.value,
                "name": STAGE_NAMES[stage],
                "entered": len(inside),
                "stopped": dict(Counter(score.verdict.status.value for score in stopped)),
                "seconds_each": _mean([score.seconds for score in stopped]),
                "by": dict(Counter(score.verdict.source for score in stopped)),
            }
        )
    passed = [score for score in judged if score.verdict.status is Status.PASSED]
    rows.append(
        {
            "stage": "passed",
            "name": "right" if not any(score.timing for score in passed) else "right, and timed",
            "entered": len(passed),
            "stopped": {},
            "seconds_each": _mean([score.seconds for score in passed]),
            "by": {},
        }
    )
    return rows


def kind_of_reason(score: Score) -> str:
    """The reason without what differs between candidates: numbers, indices, the input case."""
    text = _CASE.sub("", score.verdict.reason)
    text = _COMPILER.sub(lambda found: "CompilationError: " + _last_line(found.group()), text)
    text = " ".join(text.split())
    text = _INDEX.sub("[…]", _NUMBER.sub("…", text))
    return text if len(text) <= MOST_SAID else text[: MOST_SAID - 1] + "…"


def said(score: Score) -> str:
    """The reason in one short line, numbers and all; where a compiler speaks at length, its kind."""
    text = _LINE.sub("", " ".join(_CASE.sub("", score.verdict.reason).split()))
    return text if len(text) <= MOST_SAID else kind_of_reason(score).removeprefix("line …: ")


def reasons(scores: Sequence[Score]) -> list[dict[str, Any]]:
    """The most frequent kinds of reasons, each with its status, and the last candidate that shows it in its words."""
    kinds: dict[tuple[str, str], list[int]] = {}
    for place, score in enumerate(scores):
        if score.verdict.reason:
            kinds.setdefault((score.verdict.status.value, kind_of_reason(score)), []).append(place)
    most = sorted(kinds.items(), key=lambda item: -len(item[1]))[:MOST_REASONS]
    return [
        {
            "status": status,
            "reason": kind,
            "count": len(places),
            "example": places[-1],
            "said": said(scores[places[-1]]),
        }
        for (status, kind), places in most
    ]


def families(run: RunData) -> list[dict[str, Any]]:
    """Correct rate by level and family: all of it with its interval, and the first and last third of the steps."""
    judged = [score for score in run.scores if score.verdict.status is not Status.INFRA]
    steps = sorted({score.step for score in judged})
    early = set(steps[: len(steps) // 3])
    late = set(steps[len(steps) - len(steps) // 3 :])
    rows = []
    for key in sorted({(score.level, score.family) for score in judged}):
        own = [score for score in judged if (score.level, score.family) == key]
        groups = [[score.verdict.correct is True for score in group] for group in by_task(own).values()]
        low, high = bootstrap_interval(groups) if len(groups) >= FEWEST_TASKS else (None, None)
        rows.append(
            {
                "level": key[0],
                "family": key[1] or "–",
                "tasks": len({score.task_key for score in own}),
                "count": len(own),
                "rate": _rate(own),
                "low": low,
                "high": high,
                "early": None if run.question else _rate([score for score in own if score.step in early]),
                "late": None if run.question else _rate([score for score in own if score.step in late]),
            }
        )
    return rows


def best_kernels(scores: Sequence[Score]) -> list[dict[str, Any]]:
    """For each task that was solved its best kernel: by the speedup that is certain (the interval's low end)."""
    best = best_by_task(scores)
    rows = []
    for place in best.values():
        score, timing = scores[place], scores[place].timing
        rows.append(
            {
                "task": score.task_id,
                "level": score.level,
                "family": score.family,
                "candidate": place,
                "speedup": _digits(timing.speedup) if timing else None,
                "low": _digits(timing.speedup_low) if timing else None,
                "high": _digits(timing.speedup_high) if timing else None,
                "estimated": timing.estimated if timing else False,
                "step": score.step,
            }
        )
    return sorted(rows, key=lambda row: (row["low"] is None, -(row["low"] or 0.0), row["task"]))


def best_by_task(scores: Sequence[Score]) -> dict[str, int]:
    """From each solved task's id to the place of its best kernel: measured before estimated, then by the low end."""
    best: dict[str, int] = {}
    for place, score in enumerate(scores):
        if score.verdict.status is Status.PASSED and (
            score.task_id not in best or _worth(score) > _worth(scores[best[score.task_id]])
        ):
            best[score.task_id] = place
    return best


def time_spent(run: RunData) -> dict[str, Any]:
    """Wall seconds by what the run did, and workers' seconds of verification by stage."""
    rl = [row for row in run.metrics if row.get("stage") == "rl" and "step_time" in row]
    wall = {
        "generation": sum(float(row.get("time/generation_s", 0.0)) for row in rl),
        "verification": sum(float(row.get("time/verification_s", 0.0)) for row in rl),
    }
    whole = sum(float(row["step_time"]) for row in rl)
    wall["optimiser and the rest"] = max(whole - sum(wall.values()), 0.0) if rl else 0.0
    evals = [row for row in run.metrics if row.get("stage") == "eval"]
    wall["evaluation"] = sum(float(row.get(f"{kind}/seconds", 0.0)) for row in evals for kind in ("sampled", "greedy"))
    stages: Counter[str] = Counter()
    for score in run.scores:
        if not score.cached:
            for stage in ("pre_filter", "check_correctness", "measure_speed"):
                stages[stage] += score.verdict.stage_seconds.get(stage, 0.0)  # type: ignore[assignment]
    return {
        "wall": {name: round(seconds, 2) for name, seconds in wall.items() if seconds > 0},
        "stages": {name: round(seconds, 2) for name, seconds in stages.items() if seconds > 0},
    }


def _worth(score: Score) -> tuple[int, float]:
    if score.timing is None or not isfinite(score.timing.speedup_low):
        return 0, 0.0
    return 1 if score.timing.estimated else 2, score.timing.speedup_low


def _rate(scores: Sequence[Score]) -> float | None:
    return round(sum(score.verdict.correct is True for score in scores) / len(scores), 4) if scores else None


def _mean(values: Sequence[float]) -> float | None:
    return float(f"{sum(values) / len(values):.3g}") if values else None


def _digits(value: float) -> float | None:
    return float(f"{value:.4g}") if isfinite(value) else None


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip(" ^")]
    return lines[-1] if lines else text

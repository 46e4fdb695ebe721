"""What can be browsed: a row for every score, and the texts in compressed blocks that the page opens when asked.

Rows are columns of small numbers; texts are deduplicated, ordered by task so that neighbours are alike, and held to a
size. Where they do not fit, the best and the newest of each task and status stay.
"""

from __future__ import annotations

import base64
import gzip
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import ceil, isfinite
from typing import Any

from tritonrl_core.report.load import RunData
from tritonrl_core.report.summary import best_by_task, kind_of_reason
from tritonrl_core.types import Score, Status, Timing

TEXT_BYTES = 13_500_000
"""Room for the candidates' texts on the page, as base64."""

BLOCK = 256
"""Texts in one block: opened together, in some milliseconds."""

LEVEL = 6

MOST_SAMPLES = 40
"""Raw times of a candidate that are shown."""

Names = dict[str, int]


@dataclass(frozen=True, slots=True)
class Packed:
    """`rows` is one block (columns, one row a score in the order they came), `blocks` hold the texts. `kept` of `total`
    scores have their text in them.
    """

    rows: str
    blocks: Sequence[str]
    kept: int
    total: int


def pack_candidates(run: RunData, budget: int = TEXT_BYTES) -> Packed:
    """Pack every score of a run, the texts in at most `budget` bytes."""
    scores = run.scores
    texts, text_of = _different_texts(scores)
    best = {text_of[place] for place in best_by_task(scores).values()}
    share = 1.0
    while True:
        kept = _keep(scores, texts, best, share)
        blocks = [_pack([_text(scores[place]) for place in kept[first : first + BLOCK]])
                  for first in range(0, len(kept), BLOCK)]  # fmt: skip
        size = sum(map(len, blocks))
        if size <= budget or len(kept) <= BLOCK:
            break
        share *= 0.95 * budget / size
    number = {place: position for position, place in enumerate(kept)}
    positions = [number.get(text_of[place], -1) for place in range(len(scores))]
    return Packed(
        rows=_pack(_rows(run, positions)),
        blocks=blocks,
        kept=sum(position >= 0 for position in positions),
        total=len(scores),
    )


def _different_texts(scores: Sequence[Score]) -> tuple[list[int], list[int]]:
    """Places of scores with a text and verdict of their own, and for each score the place that has its text."""
    first: dict[tuple[str, str, str, str], int] = {}
    text_of = []
    for place, score in enumerate(scores):
        key = (score.task_key, score.candidate.text, score.verdict.status.value, score.verdict.reason)
        text_of.append(first.setdefault(key, place))
    return list(first.values()), text_of


def _keep(scores: Sequence[Score], texts: Sequence[int], best: set[int], share: float) -> list[int]:
    """This share of each task's texts in each status, the newest, and the best ones; ordered by task."""
    chosen = set(texts)
    if share < 1.0:
        groups: dict[tuple[str, Status], list[int]] = {}
        for place in texts:
            groups.setdefault((scores[place].task_id, scores[place].verdict.status), []).append(place)
        chosen = {place for group in groups.values() for place in group[-ceil(share * len(group)) :]}
        chosen |= best
    return sorted(chosen, key=lambda place: (scores[place].task_id, scores[place].candidate.code, place))


def _rows(run: RunData, positions: Sequence[int]) -> dict[str, Any]:
    """Columns for the list and its filters; names are given once and numbered."""
    scores = run.scores
    tasks, plugins, kinds = _numbered(scores, "task_id"), Counter[str](), Counter[str]()
    for score in scores:
        plugins[score.verdict.source] += 1
    reasons = [kind_of_reason(score) for score in scores]
    kinds.update(reasons)
    plugin_number = {name: number for number, (name, _) in enumerate(plugins.most_common())}
    kind_number = {name: number for number, (name, _) in enumerate(kinds.most_common())}
    statuses = [status.value for status in Status]
    stages = sorted({score.verdict.stage.value for score in scores})
    return {
        "tasks": list(tasks), "plugins": list(plugin_number), "kinds": list(kind_number),
        "statuses": statuses, "stages": stages,
        "task": [tasks[score.task_id] for score in scores],
        "status": [statuses.index(score.verdict.status.value) for score in scores],
        "stage": [stages.index(score.verdict.stage.value) for score in scores],
        "plugin": [plugin_number[score.verdict.source] for score in scores],
        "kind": [kind_number[kind] for kind in reasons],
        "level": [score.level for score in scores],
        "step": [score.step for score in scores],
        "speedup": [_speedup(score) for score in scores],
        "estimated": [int(bool(score.timing and score.timing.estimated)) for score in scores],
        "cached": [int(score.cached) for score in scores],
        "text": list(positions),
        "block": BLOCK,
    }  # fmt: skip


def _numbered(scores: Sequence[Score], name: str) -> Names:
    return {value: number for number, value in enumerate(sorted({getattr(score, name) for score in scores}))}


def _speedup(score: Score) -> float | None:
    if score.timing is None or not isfinite(score.timing.speedup):
        return None
    return float(f"{score.timing.speedup:.4g}")


def _text(score: Score) -> dict[str, Any]:
    """Everything about a candidate that its row does not say."""
    verdict = score.verdict
    return {
        "task": score.task_id,
        "plan": score.candidate.plan,
        "code": score.candidate.code,
        "text": "" if score.candidate.code else score.candidate.text,
        "reason": verdict.reason,
        "family": score.family,
        "valid": verdict.valid,
        "compiled": verdict.compiled,
        "error": verdict.worst_error,
        "worst": asdict(verdict.worst) if verdict.worst else None,
        "cases": [verdict.cases_passed, verdict.cases_total],
        "sandbox": verdict.sandbox,
        "unchecked": list(verdict.unchecked),
        "facts": dict(verdict.facts),
        "seconds": round(score.seconds, 3),
        "stages": {name: round(seconds, 4) for name, seconds in verdict.stage_seconds.items()},
        "timing": _timing(score.timing) if score.timing else None,
        "key": score.candidate.key,
    }


def _timing(timing: Timing) -> dict[str, Any]:
    data = asdict(timing)
    data["candidate_us"] = list(timing.candidate_us[:MOST_SAMPLES])
    data["baseline_us"] = {name: list(samples[:MOST_SAMPLES]) for name, samples in timing.baseline_us.items()}
    return data


def _pack(data: Any) -> str:
    """JSON, gzip, base64: what the page's `unpack` reads. The same data gives the same text."""
    plain = json.dumps(_finite(data), separators=(",", ":"), default=str, ensure_ascii=False).encode(errors="replace")
    return base64.b64encode(gzip.compress(plain, compresslevel=LEVEL, mtime=0)).decode()


def _finite(value: Any) -> Any:
    """nan and the infinities as strings, which JSON has not."""
    match value:
        case float():
            return value if isfinite(value) else str(value)
        case dict():
            return {str(key): _finite(item) for key, item in value.items()}
        case list() | tuple():
            return [_finite(item) for item in value]
    return value

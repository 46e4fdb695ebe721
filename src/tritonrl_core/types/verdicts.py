"""What is judged and how it was judged: candidates, objections, results of input cases, verdicts.

Errors are relative to what was allowed: 1 or less passes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from tritonrl_core.types.content import content_key
from tritonrl_core.types.tasks import InputCase


class Status(StrEnum):
    """How a candidate was judged. The closed set; see the table in docs/design.md."""

    PASSED = "PASSED"
    WRONG = "WRONG"
    RUNTIME_ERROR = "RUNTIME_ERROR"
    TIMEOUT = "TIMEOUT"
    BUILD_ERROR = "BUILD_ERROR"
    REJECTED = "REJECTED"
    CHEATED = "CHEATED"
    UNSUPPORTED = "UNSUPPORTED"
    INFRA = "INFRA"


class Stage(StrEnum):
    """The stage that decided, cheapest first."""

    AST = "ast"
    RECORD = "record"
    COMPILE = "compile"
    TINY = "tiny"
    FULL = "full"
    TIMING = "timing"


@dataclass(frozen=True, slots=True)
class Candidate:
    """One completion: its plan (the reasoning), its code (which defines `ModelNew`), and where each lies in `text`.

    Spans are half-open character ranges in `text`; None where the part is missing. `code` is "" where there is none.
    """

    text: str
    code: str
    plan: str = ""
    plan_span: tuple[int, int] | None = None
    code_span: tuple[int, int] | None = None

    @classmethod
    def from_code(cls, code: str) -> Candidate:
        """A candidate that is a bare source file: no plan, and all of the text is code."""
        return cls(text=code, code=code, code_span=(0, len(code)))

    @property
    def key(self) -> str:
        """Content hash of the code alone: two completions with the same code get the same verdict."""
        return content_key(self.code)


@dataclass(frozen=True, slots=True)
class WorstElement:
    """The output element furthest outside its allowance: which output, where, and what stood there."""

    output: int
    index: tuple[int, ...]
    got: float
    expected: float
    allowed: float


@dataclass(frozen=True, slots=True)
class CaseResult:
    """What one candidate did on one input case.

    `error` is the worst element's error divided by what was allowed there (≤ 1 passes); None where nothing was
    compared.
    """

    case: InputCase
    status: Status
    stage: Stage
    reason: str = ""
    error: float | None = None
    worst: WorstElement | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    unchecked: tuple[str, ...] = ()
    sandbox: str = "none"
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Objection:
    """Why a pre-filter will not let a candidate through."""

    status: Status
    stage: Stage
    reason: str
    valid: bool | None = None
    compiled: bool | None = None
    sandbox: str = "none"
    """The isolation it ran under, where the filter ran it."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a candidate was judged, by whom, and a reason that a person can act on.

    `worst_error` is relative to what was allowed (≤ 1 passes). `source` is the plugin that answered ("base" for the
    baseline). `sandbox` names the isolation it ran under. `unchecked` lists what this machine could not check.
    `stage_seconds` is the cost of each stage passed through.
    """

    status: Status
    stage: Stage
    reason: str = ""
    valid: bool | None = None
    compiled: bool | None = None
    worst_error: float | None = None
    worst: WorstElement | None = None
    cases_passed: int = 0
    cases_total: int = 0
    source: str = ""
    sandbox: str = "none"
    unchecked: tuple[str, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
    stage_seconds: Mapping[str, float] = field(default_factory=dict)

    @property
    def correct(self) -> bool | None:
        """True only for PASSED; None where nothing is known (UNSUPPORTED, INFRA)."""
        if self.status in (Status.UNSUPPORTED, Status.INFRA):
            return None
        return self.status is Status.PASSED


VERDICT_RANK: Mapping[Status, int] = {
    Status.PASSED: 3, Status.UNSUPPORTED: 2, Status.INFRA: 2, Status.WRONG: 1, Status.RUNTIME_ERROR: 1,
    Status.TIMEOUT: 1, Status.BUILD_ERROR: 1, Status.REJECTED: 1, Status.CHEATED: 0,
}
"""For the rule that a wrapper may lower a verdict and never raise it."""


def verdict_from_cases(results: Sequence[CaseResult], total: int) -> Verdict:
    """What the results of a candidate's input cases add up to; `total` is how many cases there were to pass.

    The worst result decides (the first of them), so that running on after a failure changes nothing. PASSED takes all
    `total` cases. `valid` and `compiled` follow the table in docs/design.md: "as far as it got", by the stage reached.
    """
    if not results:
        return Verdict(Status.INFRA, Stage.FULL, "no input case was run", cases_total=total)
    worst = min(results, key=lambda result: VERDICT_RANK[result.status])
    status, reason = worst.status, worst.reason
    if status is Status.PASSED and len(results) < total:
        status, reason = Status.INFRA, f"only {len(results)} of {total} input cases were run"
    valid, compiled = _how_far(status, worst.stage)
    seconds: dict[str, float] = {}
    for result in results:
        seconds[result.stage.value] = seconds.get(result.stage.value, 0.0) + result.seconds
    errors = [result.error for result in results if result.error is not None]
    # Of cases that all pass, the task as written is the one that is timed and whose kernels are known best.
    told = next((result for result in results if result.case.name == "as written"), worst)
    facts = dict((told if status is Status.PASSED else worst).facts)
    again = [result.facts["deterministic"] for result in results if "deterministic" in result.facts]
    if again:
        facts["deterministic"] = all(again)
    return Verdict(
        status=status,
        stage=worst.stage,
        reason=f"input case {worst.case.name}: {reason}" if reason and total > 1 else reason,
        valid=valid,
        compiled=compiled,
        worst_error=max(errors, default=None),
        worst=worst.worst,
        cases_passed=sum(result.status is Status.PASSED for result in results),
        cases_total=total,
        sandbox=worst.sandbox,
        unchecked=tuple(dict.fromkeys(what for result in results for what in result.unchecked)),
        facts=facts,
        stage_seconds=seconds,
    )


def _how_far(status: Status, stage: Stage) -> tuple[bool | None, bool | None]:
    """`valid` and `compiled` of a status that was decided at a stage; None where nothing is known."""
    recorded = stage not in (Stage.AST, Stage.RECORD)
    match status:
        case Status.PASSED | Status.WRONG:
            return True, True
        case Status.REJECTED | Status.CHEATED:
            return False, None
        case Status.BUILD_ERROR:
            return (True if recorded else None), False
        case Status.RUNTIME_ERROR | Status.TIMEOUT:
            return (True if recorded else None), (True if stage in (Stage.TINY, Stage.FULL, Stage.TIMING) else None)
    return None, None

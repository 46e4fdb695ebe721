"""The words of the project as frozen dataclasses: what flows between the rooms. Standard library only, no behaviour
beyond what a value knows about itself.

All are imported from here, and from here alone; the modules say which belong together. Units: times are microseconds
(`_us`) or seconds (`_s`), sizes bytes, errors relative unless said otherwise.
"""

from tritonrl_core.types.benches import Bench, BenchHost, BenchPlace, BenchRoom, BenchSpec, Previews, Program, TakesMany
from tritonrl_core.types.content import content_key
from tritonrl_core.types.sandbox import Limits, SandboxJob, SandboxResult
from tritonrl_core.types.scores import SCORE_SCHEMA, Credit, LevelStats, RewardParts, Score, Timing, TimingProtocol
from tritonrl_core.types.tasks import CaseRequest, InputCase, Policy, Task, TaskFacts, TaskRoom
from tritonrl_core.types.verdicts import (
    VERDICT_RANK,
    Candidate,
    CaseResult,
    Objection,
    Stage,
    Status,
    Verdict,
    WorstElement,
    verdict_from_cases,
)

__all__ = [
    "SCORE_SCHEMA",
    "VERDICT_RANK",
    "Bench",
    "BenchHost",
    "BenchPlace",
    "BenchRoom",
    "BenchSpec",
    "Candidate",
    "CaseRequest",
    "CaseResult",
    "Credit",
    "InputCase",
    "LevelStats",
    "Limits",
    "Objection",
    "Policy",
    "Previews",
    "Program",
    "RewardParts",
    "SandboxJob",
    "SandboxResult",
    "Score",
    "Stage",
    "Status",
    "TakesMany",
    "Task",
    "TaskFacts",
    "TaskRoom",
    "Timing",
    "TimingProtocol",
    "Verdict",
    "WorstElement",
    "content_key",
    "verdict_from_cases",
]

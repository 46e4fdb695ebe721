"""The words of the project as frozen dataclasses: what flows between the rooms. Standard library only, no behaviour
beyond what a value knows about itself.

Units: times are microseconds (`_us`) or seconds (`_s`), sizes bytes, errors relative unless said otherwise.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from typing import Any, Protocol, runtime_checkable

SCORE_SCHEMA = 1
"""Version of one line of `scores.jsonl`; raised when a field changes its meaning."""


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
class Policy:
    """What a task allows besides Triton kernels.

    `delegation` is how much ATen work a candidate may do: `none`, `layout_only` or `reported`; None takes the preset's.
    `forbidden_builtins` are names in `tl` that would do the whole task (`tl.softmax` where softmax is asked).
    `packed_weights`: whether work on weights in `__init__` may stay outside the clock.
    """

    delegation: str | None = None
    forbidden_builtins: tuple[str, ...] = ()
    packed_weights: bool = False


@dataclass(frozen=True, slots=True)
class Task:
    """What to write a kernel for: a reference in KernelBench form and everything that may be asked of a solution.

    `source` defines `Model`, `get_inputs()` and `get_init_inputs()`. `vary` maps an upper-case integer constant of the
    source to the values it may take beside its own; `dtypes` are names such as `float16` that inputs may take beside
    their own. Both are stated in `prompt`. `mutated_buffers` are buffers that the reference's own forward changes.
    `mode` is `eval`, `train`, or `as_is` (what the file leaves the module in). `tolerance` overrides the derived one.
    """

    id: str
    level: int
    source: str
    prompt: str = ""
    family: str = ""
    split: str = "train"
    mode: str = "eval"
    vary: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    dtypes: tuple[str, ...] = ()
    mutated_buffers: tuple[str, ...] = ()
    policy: Policy = Policy()
    tolerance: float | None = None
    origin: str = ""
    """Where it came from: a file path, `builtin`, or the plugin that generated it."""
    grade: Mapping[str, float] = field(default_factory=dict)
    """What is known of how much work it is, by the names of `TaskFacts`; computed, and never part of a verdict."""

    @property
    def key(self) -> str:
        """Content hash of everything a verdict can depend on (not the prompt, split, origin or grade). Which values are
        tried, and whether an estimate may be rewarded, follows from the family, where there is one."""
        judged = [self.source, self.mode, sorted((k, list(v)) for k, v in self.vary.items()), self.dtypes,
                  self.mutated_buffers, asdict(self.policy), self.tolerance, *filter(None, [self.family])]
        return content_key(*judged)


@dataclass(frozen=True, slots=True)
class TaskFacts:
    """How much work one task is at the size as written, computed from a trace of its reference.

    `flops`: multiplications and additions of products, and one operation an element of everything else. `bytes`:
    inputs, parameters and outputs once, which is what perfect fusion moves; `eager_bytes`: every operator's operands
    and results. `launches`: operators that move data when PyTorch runs them one by one; `fusible_edges`: tensors
    between two of those that perfect fusion keeps out of memory. `roofline_us` is the least time on `target`,
    `eager_us` the estimate for PyTorch (`bench.estimate`).
    """

    flops: int
    bytes: int
    eager_bytes: int
    operators: Mapping[str, int]
    launches: int
    fusible_edges: int
    roofline_us: float
    eager_us: float
    target: str

    @property
    def saving(self) -> float:
        """Share of the eager traffic that perfect fusion saves, between 0 and 1."""
        return max(0.0, 1 - self.bytes / self.eager_bytes) if self.eager_bytes else 0.0

    @property
    def grade(self) -> dict[str, float]:
        """The figures as a task carries them."""
        return {
            "launches": self.launches, "fusible_edges": self.fusible_edges, "flops": self.flops, "bytes": self.bytes,
            "eager_bytes": self.eager_bytes, "saving": round(self.saving, 4),
            "roofline_us": round(self.roofline_us, 2), "eager_us": round(self.eager_us, 2),
        }  # fmt: skip


class TaskRoom(Protocol):
    """What the core can tell a plugin about a task that it makes. Answers are kept by content; the cheapest first.

    None raises for a reference that is broken: that is what `unfit` says.
    """

    def suite(self) -> str:
        """The suite that the preset's own tasks come from: `builtin`, `none`, or the name of the bundled model whose
        tasks, made for its size, they are."""
        ...

    def statement(self, task: Task, summary: str) -> Task:
        """The task with its prompt filled in: what it computes and what may vary."""
        ...

    def computation(self, task: Task) -> str:
        """A key of the canonical graph, equal for two tasks that differ only in names, shapes and constants."""
        ...

    def tested(self, task: Task) -> str:
        """The id of a task that is tested on (held out, or named in `tasks.decontaminate`) and computes the same; "" if
        there is none."""
        ...

    def facts(self, task: Task) -> TaskFacts | None:
        """How much work it is; None where its reference cannot be traced."""
        ...

    def unfit(self, task: Task) -> str:
        """Why it is not fit to judge with, "" where it is. The reference is run."""
        ...


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
class InputCase:
    """One concrete set of inputs for a task. Data, not tensors: whoever needs tensors makes them on its own device.

    `dims` re-binds upper-case integer constants of the task's source ({} = as written); `dtype` replaces the floating
    dtype of inputs and parameters (None = as written); `distribution` is one of `tasks.cases.DISTRIBUTIONS`, `layout`
    one of `tasks.cases.LAYOUTS`; `seed` seeds inputs and parameters.
    """

    name: str
    seed: int
    dims: Mapping[str, int] = field(default_factory=dict)
    dtype: str | None = None
    distribution: str = "normal"
    layout: str = "contiguous"

    @property
    def signature(self) -> tuple[Any, ...]:
        """What a recording depends on: shapes, dtype and layout, never the values."""
        return (tuple(sorted(self.dims.items())), self.dtype, self.layout)


@dataclass(frozen=True, slots=True)
class CaseRequest:
    """What a correctness check asks the task's case generator for."""

    count: int = 1
    shapes: bool = False
    values: bool = False
    dtypes: bool = False
    layouts: bool = False
    seed: int = 0
    small: bool = False
    """Ask for the smallest declared dimensions (the funnel's tiny run)."""


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


@dataclass(frozen=True, slots=True)
class TimingProtocol:
    """How to time a program; the bench carries it out, alone on its device.

    `method`: `simple` (the mean of a few synchronised runs), `published` (always `warmup` and `trials` runs) or
    `adaptive` (those are upper bounds: it stops when half of the 95 % confidence interval is at most `ci` of the mean,
    or `budget_s` seconds are spent). These two time candidate and baselines alike, as captured graphs of their plans,
    in turn, at `captures` different places in memory. `trim` is the share cut off each end.
    """

    method: str = "simple"
    warmup: int = 3
    trials: int = 10
    trim: float = 0.0
    ci: float = 0.01
    budget_s: float = 1.0
    baselines: tuple[str, ...] = ("eager",)
    """The first is what `speedup` is against: `eager`, or `compiled` (torch.compile)."""
    captures: int = 3


@dataclass(frozen=True, slots=True)
class Timing:
    """Raw samples of candidate and baselines, and what follows from them.

    `clock` is `events` (measured on the device) or `estimated` (computed from traffic; never a measurement).
    `speedup` is against the first baseline; `speedup_low`/`high` bound its 95 % confidence interval. `speedups` has the
    same three figures by baseline, and for `best` of them where there are several. `facts` is what else was noted of
    the measurement: clocks, floor, wall-clock times, time on the GPU. `status` is other than PASSED where the timed
    runs themselves went wrong; `reason` says how, and there is no speed.
    """

    candidate_us: tuple[float, ...]
    baseline_us: Mapping[str, tuple[float, ...]]
    speedup: float
    speedup_low: float
    speedup_high: float
    device: str
    method: str
    clock: str
    source: str = ""
    notes: tuple[str, ...] = ()
    reward_allowed: bool = True
    """False where the figure must not enter a reward (an estimate whose agreement with measurement is not shown)."""
    speedups: Mapping[str, tuple[float, float, float]] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
    status: Status = Status.PASSED
    reason: str = ""

    @property
    def estimated(self) -> bool:
        return self.clock == "estimated"


@dataclass(frozen=True, slots=True)
class RewardParts:
    """The two halves of a reward; None means "left out" (INFRA), never zero."""

    correctness: float | None
    speed: float | None


@dataclass(frozen=True, slots=True)
class Score:
    """One line of `scores.jsonl`: a candidate, how it was judged, how fast it is and what it earned."""

    task_id: str
    level: int
    task_key: str
    candidate: Candidate
    verdict: Verdict
    timing: Timing | None
    reward: RewardParts
    family: str = ""
    step: int = -1
    group: str = ""
    cached: bool = False
    seconds: float = 0.0
    schema: int = SCORE_SCHEMA

    def at(self, *, step: int, group: str) -> Score:
        """The same score, placed in a training run."""
        return replace(self, step=step, group=group)


@dataclass(frozen=True, slots=True)
class Credit:
    """Advantages of one completion: one number for its plan tokens, one for its code tokens."""

    plan: float
    code: float


@dataclass(frozen=True, slots=True)
class LevelStats:
    """What training has seen of one level so far."""

    level: int
    groups: int = 0
    candidates: int = 0
    correct: int = 0

    @property
    def correct_rate(self) -> float:
        return self.correct / self.candidates if self.candidates else 0.0


@dataclass(frozen=True, slots=True)
class Limits:
    """What one sandboxed job may use. `output_bytes` bounds what it may send back."""

    wall_s: float = 30.0
    cpu_s: float = 30.0
    memory_bytes: int = 4 << 30
    output_bytes: int = 16 << 20


@dataclass(frozen=True, slots=True)
class SandboxJob:
    """One piece of untrusted work for `sandbox_exec`: run `entry` in a new child process, with its limits.

    `entry` takes nothing and returns the bytes to send back; whatever else it does is untrusted. `profile` is `record`,
    `interpret` or `compile`. `keep_fds` are the descriptors that the child may keep (shared memory for tensors).
    Called in a single-threaded, warm process that owns no secret and no GPU.
    """

    entry: Callable[[], bytes]
    limits: Limits
    profile: str
    keep_fds: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class SandboxResult:
    """How a sandboxed job ended: `ok`, `timeout`, `memory`, `output` (sent too much), `died` (signal or exit) or
    `refused` (the sandbox itself could not be set up; nothing ran). `payload` is untrusted bytes.
    """

    outcome: str
    payload: bytes = b""
    detail: str = ""
    sandbox: str = "none"
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class BenchSpec:
    """What `open_bench` needs to know: devices, worker counts and limits, all resolved (no `auto` left).

    `device` is `cpu` or `cuda`; `target` such as `sm_90`; `worker_preset` is the resolved preset as plain data, from
    which worker processes rebuild the session.
    """

    device: str
    target: str
    cpu_workers: int
    gpus: tuple[int, ...]
    gpu_memory_bytes: int | None
    timeout_s: float
    delegation: str
    precision: str
    worker_preset: Mapping[str, Any]


@runtime_checkable
class Program(Protocol):
    """A candidate on the bench, lazily run and cached. Every method may block; none raises for the candidate."""

    def cases(self, request: CaseRequest) -> Sequence[InputCase]:
        """Cases of the task, the one most likely to fail first."""
        ...

    def run(self, case: InputCase, criterion: str = "default") -> CaseResult:
        """Run on one case and compare. `criterion` is `default` (docs/design.md) or `kernelbench`."""
        ...

    def compile(self, case: InputCase) -> CaseResult:
        """Record and compile for the target without running; PASSED where that works."""
        ...

    def time(self, protocol: TimingProtocol) -> Timing:
        """Time candidate and baselines. Raises `InfraError` where the bench cannot."""
        ...

    def plan(self, case: InputCase) -> Mapping[str, Any]:
        """The launch plan as plain data: kernels, launches, ATen calls, buffers."""
        ...


@runtime_checkable
class Previews(Protocol):
    """A program that can also tell a wrong result before its kernels are compiled, by replaying them on a CPU."""

    preview_is_kept: bool
    """Whether the run that follows uses this work again, so that it costs a right kernel nothing."""

    def preview(self, case: InputCase) -> CaseResult:
        """As `run` by the default criterion, with nothing compiled. PASSED says nothing of compilation; where the work
        is not kept it says only that nothing speaks against the kernel, and anything else is certain on any device."""
        ...


@runtime_checkable
class Bench(Protocol):
    """Where programs run."""

    def program(self, task: Task, candidate: Candidate) -> Program: ...

    def describe(self) -> Mapping[str, str]:
        """Device, target, sandbox tier and versions: the first lines of a run."""
        ...

    def close(self) -> None: ...


@runtime_checkable
class TakesMany(Protocol):
    """A bench that can have more in work than this machine's workers: it says how many candidates at a time."""

    at_once: int


class BenchHost(Protocol):
    """One of the places of a fleet, inside its own process: it does what it is asked. From many threads."""

    def answer(self, call: Any) -> Any:
        """What a call asks for. Calls and answers can be pickled and are nobody else's to look into.

        Raises `TritonRLError`s as the bench does; each can be pickled.
        """
        ...

    def close(self) -> None: ...


class BenchPlace(Protocol):
    """One of the places of a fleet, seen from outside. `name` stands in logs and messages."""

    name: str

    def ask(self, call: Any) -> Any:
        """Have a `BenchHost` there answer. Raises `errors.PlaceLost` where it is gone before it has."""
        ...

    def back(self) -> bool:
        """Whether a place that was lost can be asked again. Returns at once."""
        ...

    def close(self) -> None: ...


class BenchRoom(Protocol):
    """What the core gives a plugin that opens a bench elsewhere. Can be pickled, and so taken to another machine.

    A fleet has hosts, which run programs whole or from where they are recorded and compiled on, and preparers, which
    record and compile. The plugin brings them up, wherever it likes, and carries calls and answers.
    """

    def here(self, spec: BenchSpec) -> Bench:
        """The bench of the machine that this is called on, as the base opens it."""
        ...

    def host(self, spec: BenchSpec, preparers: Sequence[BenchPlace] = ()) -> BenchHost:
        """Programs on the machine that this is called on, recorded and compiled at the preparers, or here without."""
        ...

    def preparer(self, spec: BenchSpec, hosts: Sequence[BenchPlace] = ()) -> BenchHost:
        """Records and compiles on the machine that this is called on; with a GPU, `hosts` make the values of cases."""
        ...

    def over(self, spec: BenchSpec, hosts: Sequence[BenchPlace], at_once: int, patience_s: float) -> Bench:
        """One bench of many hosts, each program at one of them. What a host had when it was lost is done at another;
        where none comes back for `patience_s`, `InfraError`."""
        ...


def content_key(*parts: Any) -> str:
    """A hash of plain data that is the same in every process and on every machine."""
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:24]

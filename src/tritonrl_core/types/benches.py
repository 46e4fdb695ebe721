"""Where programs run: what a bench and a program can do, on one machine or spread over a fleet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from tritonrl_core.types.scores import Timing, TimingProtocol
from tritonrl_core.types.tasks import CaseRequest, InputCase, Task
from tritonrl_core.types.verdicts import Candidate, CaseResult


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

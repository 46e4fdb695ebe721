"""A bench that is spread over several processes or machines: what is asked there, and who answers.

`FleetBench` stands where the verifier is; a `Host` has programs and runs them, a `Preparer` records and compiles for
hosts that leave that to others. All of them are ours and trusted, each confines what is not. How calls travel is the
places' affair; which place gets which call is decided in `places`.
"""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tritonrl_core.bench.places import Places
from tritonrl_core.bench.prepare import MakeCases, Preparation, Ready, Recorded, Stop
from tritonrl_core.bench.targets import gpu_for
from tritonrl_core.errors import InfraError, TritonRLError
from tritonrl_core.types import (
    Bench,
    BenchPlace,
    BenchSpec,
    Candidate,
    CaseRequest,
    CaseResult,
    InputCase,
    Program,
    Task,
    Timing,
    TimingProtocol,
)

log = logging.getLogger(__name__)

KEPT = 512
"""Programs that a host keeps: more than are in work at a time, so that a candidate is recorded once."""


@dataclass(frozen=True, slots=True)
class Call:
    """What is asked: `do` is a method's name, of a program where there is a candidate, else of the host's bench."""

    do: str
    task: Task | None = None
    candidate: Candidate | None = None
    arguments: tuple[Any, ...] = ()
    keywords: Mapping[str, Any] = field(default_factory=dict)


class Host:
    """Programs of one bench, kept by content."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._programs: OrderedDict[tuple[str, str], Program] = OrderedDict()
        self._lock = threading.Lock()

    def answer(self, call: Call) -> Any:
        """Carry out a call. Raises the bench's errors, and `InfraError` for anything unforeseen."""
        return _answered(self._asked(call), call)

    def close(self) -> None:
        self._bench.close()

    def _asked(self, call: Call) -> Any:
        if call.task is None or call.candidate is None:
            return self._bench
        key = (call.task.key, call.candidate.key)
        with self._lock:
            program = self._programs.get(key)
            if program is None:
                program = self._programs[key] = self._bench.program(call.task, call.candidate)
            self._programs.move_to_end(key)
            while len(self._programs) > KEPT:
                self._programs.popitem(last=False)
            return program


class Preparer:
    """Records and compiles for hosts elsewhere."""

    def __init__(self, spec: BenchSpec, make_cases: MakeCases, hosts: Sequence[BenchPlace] = ()) -> None:
        """`hosts` make a case's values as their GPUs do; without any they are the CPU's."""
        self._hosts = Places(hosts) if hosts else None
        values = self._values if hosts else None
        self._preparation = Preparation(spec, gpu_for(spec.target), make_cases, values)

    def answer(self, call: Call) -> Any:
        """Carry out a call. Raises as `Host.answer` does."""
        return _answered(self._preparation, call)

    def close(self) -> None:
        self._preparation.close()

    def _values(self, task: Task, case: InputCase) -> bytes:
        assert self._hosts is not None
        values: bytes = self._hosts.ask(Call("values", arguments=(task, case)))
        return values


class PreparedElsewhere:
    """In place of a bench's own `Preparation`: the same questions, asked of preparers."""

    def __init__(self, preparers: Sequence[BenchPlace]) -> None:
        self._places = Places(preparers)

    def prepare(
        self, task: Task, candidate: Candidate, case: InputCase, ahead: Sequence[InputCase] = ()
    ) -> Ready | Stop:
        """As `Preparation.prepare`."""
        found: Ready | Stop = self._ask("prepare", task, candidate, case, ahead)
        return found

    def record(
        self, task: Task, candidate: Candidate, case: InputCase, ahead: Sequence[InputCase] = ()
    ) -> Recorded | Stop:
        """As `Preparation.record`. What is recorded ahead lies at that preparer, where the next question goes."""
        found: Recorded | Stop = self._ask("record", task, candidate, case, ahead)
        return found

    def build(self, recorded: Recorded, *, whole: bool = True) -> Ready | Stop:
        """As `Preparation.build`."""
        keywords = {} if whole else {"whole": False}
        found: Ready | Stop = self._places.ask(Call("build", arguments=(recorded,), keywords=keywords))
        return found

    def sandbox(self) -> str:
        """As `Preparation.sandbox`."""
        name: str = self._places.ask(Call("sandbox"))
        return name

    def close(self) -> None:
        """Let go of the connections; the preparers belong to whoever started them."""
        self._places.close()

    def _ask(self, do: str, task: Task, candidate: Candidate, case: InputCase, ahead: Sequence[InputCase]) -> Any:
        keywords = {"ahead": tuple(ahead)} if ahead else {}
        call = Call(do, arguments=(task, candidate, case), keywords=keywords)
        return self._places.ask(call, home=f"{task.key} {candidate.key}")


class FleetBench:
    """One bench of many hosts. A candidate stays at its host; those of a task go to one, while that is not too busy:
    what it has worked out for them lies there, and one clock times them."""

    def __init__(
        self, spec: BenchSpec, hosts: Sequence[BenchPlace], make_cases: MakeCases, at_once: int, patience_s: float
    ) -> None:
        self.spec, self.at_once = spec, at_once
        self.places = Places(hosts, patience_s, slack=at_once // (4 * len(hosts)))
        self._hosts, self._make_cases = len(hosts), make_cases
        self._kind = OneKind()

    def program(self, task: Task, candidate: Candidate) -> FleetProgram:
        """A candidate on this bench; nothing runs yet."""
        kept = self.spec.device != "cuda"
        return FleetProgram(task, candidate, self.places, self._make_cases, self._kind, preview_is_kept=kept)

    def describe(self) -> Mapping[str, str]:
        """What one of the hosts says, and how many there are. Waits until one is ready."""
        said: dict[str, str] = dict(self.places.ask(Call("describe")))
        device = said["device"].removesuffix(" (1)") if self.spec.device == "cuda" else said["device"]
        more = f"{device} ({self._hosts})" if self.spec.device == "cuda" else f"{device}, hosts: {self._hosts}"
        return {**said, "device": more, "workers": str(self.spec.cpu_workers)}

    def close(self) -> None:
        self.places.close()


class OneKind:
    """That all hosts time on the same kind of GPU: what two kinds take cannot be compared."""

    def __init__(self) -> None:
        self._device = ""
        self._lock = threading.Lock()

    def check(self, timing: Timing) -> Timing:
        """The timing, if it is of the same kind as the first. Raises `InfraError`."""
        with self._lock:
            self._device = self._device or timing.device
        if timing.device != self._device:
            raise InfraError(
                f"one host of the fleet has {timing.device}, another {self._device}: their times cannot be compared",
                remedy="One fleet has one kind of GPU: leave other nodes out.",
            )
        return timing


class FleetProgram:
    """A candidate whose program is at one of the hosts. It has no state here: a host that is lost costs its work."""

    def __init__(
        self, task: Task, candidate: Candidate, places: Places, make_cases: MakeCases, kind: OneKind,
        *, preview_is_kept: bool,
    ) -> None:  # fmt: skip
        self._task, self._candidate, self._places, self._make_cases = task, candidate, places, make_cases
        self._kind = kind
        self.preview_is_kept = preview_is_kept

    def cases(self, request: CaseRequest) -> Sequence[InputCase]:
        """Cases of the task; made here."""
        return self._make_cases(self._task, request)

    def run(self, case: InputCase, criterion: str = "default") -> CaseResult:
        """Run on one case and compare."""
        result: CaseResult = self._ask("run", case, criterion)
        return result

    def preview(self, case: InputCase) -> CaseResult:
        """As `run`, with nothing compiled."""
        result: CaseResult = self._ask("preview", case)
        return result

    def compile(self, case: InputCase) -> CaseResult:
        """Record and compile for the target; nothing runs."""
        result: CaseResult = self._ask("compile", case)
        return result

    def time(self, protocol: TimingProtocol) -> Timing:
        """Time candidate and baselines. Raises `InfraError` where another host has another kind of GPU."""
        return self._kind.check(self._ask("time", protocol))

    def plan(self, case: InputCase) -> Mapping[str, Any]:
        """The launch plan as plain data."""
        plan: Mapping[str, Any] = self._ask("plan", case)
        return plan

    def _ask(self, do: str, *arguments: Any) -> Any:
        task = self._task.key
        home = f"{task} {self._candidate.key}"
        return self._places.ask(Call(do, self._task, self._candidate, arguments), home, like=task)


def _answered(asked: Any, call: Call) -> Any:
    try:
        return getattr(asked, call.do)(*call.arguments, **call.keywords)
    except TritonRLError:
        raise
    except Exception as error:
        log.exception("%s failed", call.do)
        raise InfraError(f"{call.do} failed at a host of the fleet: {type(error).__name__}: {error}") from None

"""Fakes of what the bench gives, which keep its promises: the same case gives the same result, nothing raises for the
candidate, and there is no clock unless a timing was scripted. They judge nothing: what they answer, the test said."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from tritonrl_core.errors import InfraError
from tritonrl_core.types import (
    Candidate,
    CaseRequest,
    CaseResult,
    InputCase,
    Program,
    Stage,
    Status,
    Task,
    Timing,
    TimingProtocol,
)

PASSED = CaseResult(InputCase("scripted", seed=0), Status.PASSED, Stage.FULL, error=0.1, seconds=0.01)
COMPILED = replace(PASSED, stage=Stage.COMPILE, error=None)


@dataclass
class FakeProgram:
    """A program whose results are scripted, one for each different case in the order asked; the last one repeats.

    `ran` lists the cases that were run, `protocols` what was asked of the clock.
    """

    results: Sequence[CaseResult] = (PASSED,)
    timing: Timing | None = None
    compiled: CaseResult = COMPILED
    launch_plan: Mapping[str, Any] = field(default_factory=dict)
    ran: list[InputCase] = field(default_factory=list)
    protocols: list[TimingProtocol] = field(default_factory=list)
    _known: dict[str, CaseResult] = field(default_factory=dict, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    @classmethod
    def ending(cls, status: Status, reason: str = "", stage: Stage = Stage.FULL) -> FakeProgram:
        """A program that ends every case with this status."""
        return cls(results=(replace(PASSED, status=status, stage=stage, reason=reason, error=None),))

    def cases(self, request: CaseRequest) -> Sequence[InputCase]:
        size = {"N": 4} if request.small else {}
        return [
            InputCase(f"case{index}", seed=1000 * request.seed + index, dims=size) for index in range(request.count)
        ]

    def run(self, case: InputCase, criterion: str = "default") -> CaseResult:
        with self._lock:
            self.ran.append(case)
            if case.name not in self._known:
                self._known[case.name] = self.results[min(len(self._known), len(self.results) - 1)]
            return replace(self._known[case.name], case=case)

    def compile(self, case: InputCase) -> CaseResult:
        return replace(self.compiled, case=case)

    def time(self, protocol: TimingProtocol) -> Timing:
        with self._lock:
            self.protocols.append(protocol)
        if self.timing is None:
            raise InfraError("this fake program has no clock", remedy="Script one: FakeProgram(timing=…).")
        return self.timing

    def plan(self, case: InputCase) -> Mapping[str, Any]:
        return self.launch_plan


@dataclass
class FakeBench:
    """A bench that makes the programs it is told to make, by default ones that pass."""

    make: Callable[[Task, Candidate], Program] = lambda task, candidate: FakeProgram()
    closed: bool = False

    def program(self, task: Task, candidate: Candidate) -> Program:
        return self.make(task, candidate)

    def describe(self) -> Mapping[str, str]:
        return {"device": "fake"}

    def close(self) -> None:
        self.closed = True

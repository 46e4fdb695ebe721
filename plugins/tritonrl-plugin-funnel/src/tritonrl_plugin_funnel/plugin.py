"""The plugin's class: its options with their defaults, and its hooks."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import replace
from threading import Lock
from typing import Any

from tritonrl_core.plugin import Plugin, PluginContext, PluginOptions, hookimpl
from tritonrl_core.types import (
    Candidate,
    CaseRequest,
    CaseResult,
    Credit,
    InputCase,
    Objection,
    Previews,
    Program,
    Stage,
    Status,
    Task,
    verdict_from_cases,
)
from tritonrl_plugin_funnel.partial import with_partial_credit
from tritonrl_plugin_funnel.rules import source_objection, tree_of
from tritonrl_plugin_funnel.worth import Worth

Ask = Callable[[], Objection | None]
Credits = Sequence[Credit] | None
STAGES = ("ast", "compile", "tiny_run")


class FunnelPlugin(Plugin):
    """Asks cheap questions about a kernel before dear ones.

    Wraps `pre_filter`: the baseline's rules on the source, and those of other plugins, are cheaper still and go first.
    """

    name = "funnel"

    class Options(PluginOptions):
        """Which stages are asked, cheapest first, and whether a candidate that got further earns part of the reward."""

        ast: bool = True
        compile: bool = True
        tiny_run: bool = True
        partial_credit: bool = False

    options: Options

    def __init__(self, options: PluginOptions | None = None, context: PluginContext | None = None) -> None:
        super().__init__(options, context)
        self._lock = Lock()
        self._asked = dict.fromkeys(STAGES, 0)
        self._stopped = dict.fromkeys(STAGES, 0)
        self._seconds = dict.fromkeys(STAGES, 0.0)
        self._worth = Worth()

    @hookimpl(wrapper=True)
    def pre_filter(
        self, task: Task, candidate: Candidate, program: Program
    ) -> Generator[None, Objection | None, Objection | None]:
        """The objection of a cheaper filter, else the funnel's own."""
        tree = tree_of(candidate.code)  # held, so that the baseline's rules and the funnel's read one tree
        cheaper = yield
        objection = cheaper if cheaper is not None else self._of_source(task, candidate)
        del tree  # and let go before the candidate runs: see `syntax.shared_tree`
        return objection if objection is not None else self._of_runs(program)

    def objection(self, task: Task, candidate: Candidate, program: Program) -> Objection | None:
        """The first objection of the funnel's own stages, cheapest first; None where there is none."""
        objection = self._of_source(task, candidate)
        return objection if objection is not None else self._of_runs(program)

    def _of_source(self, task: Task, candidate: Candidate) -> Objection | None:
        return self._counted("ast", lambda: source_objection(task, candidate.code)) if self.options.ast else None

    def _of_runs(self, program: Program) -> Objection | None:
        for name, ask in self._runs(program, *program.cases(CaseRequest(count=1))):
            if getattr(self.options, name):
                objection = self._counted(name, ask)
                if objection is not None:
                    return objection
        return None

    def _runs(self, program: Program, written: InputCase) -> Iterator[tuple[str, Ask]]:
        """Names and questions, cheapest first, all about the task as written: the check asks for that too, so nothing
        is done twice. Where the kernel can run before it is compiled, that is the cheaper question."""
        if not isinstance(program, Previews):
            yield "compile", lambda: _ended(program.compile(written))
            yield "tiny_run", lambda: _ended(program.run(written))
            return
        preview = program.preview
        if program.preview_is_kept:
            yield "tiny_run", lambda: _previewed(preview(written))
        elif self._worth.ask():
            yield "tiny_run", lambda: self._worth.learn(_previewed(preview(written)))
        yield "compile", lambda: _ended(program.compile(written))

    @hookimpl(wrapper=True)
    def assign_credit(self, scores: Sequence[Any]) -> Generator[None, Credits, Credits]:
        """Whatever the owner of this hook gave; with `partial_credit`, the code's part by the stage reached."""
        credits = yield
        if credits is None or not self.options.partial_credit:
            return credits
        return with_partial_credit(scores, credits)

    @hookimpl
    def collect_metrics(self, step: int) -> Mapping[str, float]:
        """For each stage since the start of the run: candidates asked, candidates stopped, seconds spent."""
        with self._lock:
            figures: dict[str, float] = {}
            for stage in STAGES:
                if getattr(self.options, stage):
                    figures[f"{stage}_asked"] = float(self._asked[stage])
                    figures[f"{stage}_stopped"] = float(self._stopped[stage])
                    figures[f"{stage}_seconds"] = self._seconds[stage]
            return figures

    def state_dict(self) -> dict[str, Any]:
        with self._lock:
            counted = {"asked": dict(self._asked), "stopped": dict(self._stopped), "seconds": dict(self._seconds)}
        return {**counted, "worth": self._worth.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        with self._lock:
            self._asked = dict(state["asked"])
            self._stopped = dict(state["stopped"])
            self._seconds = dict(state["seconds"])
        self._worth.load_state_dict(state.get("worth", {}))

    def _counted(self, stage: str, ask: Ask) -> Objection | None:
        began = time.perf_counter()
        objection = ask()
        spent = time.perf_counter() - began
        with self._lock:
            self._asked[stage] += 1
            self._stopped[stage] += objection is not None
            self._seconds[stage] += spent
        return objection


def _previewed(result: CaseResult) -> Objection | None:
    """As `_ended`, of a result before anything was compiled."""
    objection = _ended(result)
    return objection if objection is None else replace(objection, compiled=objection.compiled and None)


def _ended(result: CaseResult) -> Objection | None:
    """The objection that a case's result is; None where it passed, or where it was our own fault."""
    if result.status in (Status.PASSED, Status.INFRA):
        return None
    verdict = verdict_from_cases([result], total=1)
    stage = Stage.TINY if verdict.stage is Stage.FULL else verdict.stage
    return Objection(verdict.status, stage, verdict.reason, verdict.valid, verdict.compiled, verdict.sandbox)

"""What stands between a plugin's hook and its caller: blame for what it raises, a check of what it answers, and the
rule that a wrapper may lower an answer and never raise it.

A guarded hook answers with the right type, declines with None, or raises a `HookFailure` that names plugin, hook,
distribution and version.
"""

from __future__ import annotations

import functools
import inspect
import math
import traceback
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from numbers import Real
from pathlib import Path
from typing import Any

from tritonrl_core.errors import HookFailure, InfraError, TaskError, UsageError
from tritonrl_core.hookspecs import RULES, Kind
from tritonrl_core.plugin import Plugin
from tritonrl_core.session.discovery import BASE, boundary, shown
from tritonrl_core.session.explanation import Who
from tritonrl_core.types import (
    VERDICT_RANK,
    Bench,
    Credit,
    Objection,
    SandboxResult,
    Stage,
    Status,
    Task,
    Timing,
    Verdict,
)


@dataclass(frozen=True, slots=True)
class Owner:
    """A plugin object and whom to blame for it."""

    plugin: Plugin
    name: str
    distribution: str
    version: str

    def __str__(self) -> str:
        return f"plugin {self.name!r} ({self.distribution} {self.version})"

    @property
    def who(self) -> Who:
        return Who(self.name, self.distribution, self.version)

    def failure(self, hook: str, what: str, remedy: str = "") -> HookFailure:
        return HookFailure(
            f"{self}: {hook}() {what}",
            plugin=self.name, hook=hook, distribution=self.distribution, version=self.version,
            remedy=remedy or report_to(self.name, self.distribution),
        )  # fmt: skip


def report_to(plugin: str, distribution: str) -> str:
    """The remedy for a fault in a plugin's code."""
    leave = "" if plugin == BASE else f", or take {plugin!r} out of the preset"
    return f"Report it to {distribution}{leave}."


Tell = Callable[[str, str], None]
"""Called with hook and plugin name where a plugin has answered."""


def guarded(owner: Owner, hook: str, method: Callable[..., Any], tell: Tell) -> Callable[..., Any]:
    """A plain hook implementation, guarded. Answers of hooks that collect come back as (plugin name, answer)."""

    @functools.wraps(method, updated=())
    def ask(*arguments: Any) -> Any:
        with boundary(lambda error: blame(owner, hook, error)):
            answer = method(*arguments)
            if isinstance(answer, Iterable) and RULES[hook].kind is Kind.COLLECT:
                answer = dict(answer) if isinstance(answer, Mapping) else list(answer)
        answer = checked(owner, hook, answer)
        if answer is None:
            return None
        tell(hook, owner.name)
        return (owner.name, answer) if RULES[hook].kind is Kind.COLLECT else with_source(owner, answer)

    return ask


def guarded_wrapper(owner: Owner, hook: str, method: Callable[..., Any], tell: Tell) -> Callable[..., Any]:
    """A wrapper, guarded: it sees the answer and may lower it; what failed inside it stays failed."""

    @functools.wraps(method, updated=())
    def wrap(*arguments: Any) -> Generator[None, Any, Any]:
        with boundary(lambda error: blame(owner, hook, error)):
            generator = method(*arguments)
            if _finished(generator, next):
                raise owner.failure(hook, "is a wrapper that did not yield", "Say `answer = yield` once.")
        try:
            before = yield
        except BaseException as inner:
            first = inner
            with boundary(lambda _: first):  # what it raises while it is closed matters less than what failed
                generator.close()
            raise
        with boundary(lambda error: blame(owner, hook, error)):
            result = _finished(generator, lambda running: running.send(before))
            if not result:
                raise owner.failure(hook, "is a wrapper that yielded twice", "Say `answer = yield` once.")
        after = checked(owner, hook, result[0])
        fault = what_was_raised(before, after)
        if fault:
            forgot, lowers = "End it with `return answer`.", "A wrapper may lower an answer, never raise it."
            raise owner.failure(hook, f"is a wrapper that {fault}", forgot if result[0] is None else lowers)
        if after == before:
            return before
        tell(hook, owner.name)
        return _signed_again(owner, before, after)

    return wrap


def _finished(generator: Any, go_on: Callable[[Any], Any]) -> tuple[Any, ...]:
    """Run a generator on; a 1-tuple of what it returned where it is at its end, else ()."""
    try:
        go_on(generator)
    except StopIteration as end:
        return (end.value,)
    return ()


def blame(owner: Owner, hook: str, error: BaseException) -> BaseException:
    """What to raise for what a hook raised.

    Failures that are blamed already and faults of the machine stay what they are, and so does bad input that the base
    found, and a broken reference that showed while a program was judged; all else is the plugin's.
    """
    if isinstance(error, HookFailure | InfraError) or (isinstance(error, UsageError) and owner.name == BASE):
        return error
    if isinstance(error, TaskError) and RULES[hook].verifying:
        return error
    return owner.failure(
        hook, f"raised {shown(error)}{_line(owner, error)}", error.remedy if isinstance(error, UsageError) else ""
    )


def _line(owner: Owner, error: BaseException) -> str:
    """Where in the plugin's own package it was raised, as ` (plugin.py, line 12)`; "" where that is not known."""
    module = type(owner.plugin).__module__.partition(".")[0]
    lines = [
        f" ({Path(frame.f_code.co_filename).name}, line {number})"
        for frame, number in traceback.walk_tb(error.__traceback__)
        if str(frame.f_globals.get("__name__")).partition(".")[0] == module
    ]
    return lines[-1] if lines else ""


def with_source(owner: Owner, answer: Any) -> Any:
    """Provenance: an answer that does not say who gave it says so now."""
    if isinstance(answer, Verdict | Timing) and not answer.source:
        return replace(answer, source=owner.name)
    return answer


def _signed_again(owner: Owner, before: Any, after: Any) -> Any:
    """A wrapper that changed the outcome is its source; one that only added facts is not."""
    if isinstance(after, Verdict):
        return replace(after, source=owner.name if after.status is not before.status else before.source)
    if isinstance(after, Timing):
        return replace(after, source=owner.name if after.speedup != before.speedup else before.source)
    return after


_ANSWERS: Mapping[str, tuple[type, str]] = {
    "generate_tasks": (list, "tasks"),
    "sample_level": (int, "a level (an int)"),
    "sample_task": (Task, "one of the tasks it was given"),
    "pre_filter": (Objection, "an Objection"),
    "sandbox_exec": (SandboxResult, "a SandboxResult"),
    "check_correctness": (Verdict, "a Verdict"),
    "measure_speed": (Timing, "a Timing"),
    "assign_credit": (Sequence, "a sequence of Credit"),
    "collect_metrics": (dict, "a mapping of names to numbers"),
    "open_bench": (Bench, "a Bench"),
}


def checked(owner: Owner, hook: str, answer: Any) -> Any:
    """The answer, if it is None or what the hook may answer; else raises `HookFailure`."""
    if answer is None or (RULES[hook].kind is Kind.NOTIFY and not inspect.isawaitable(answer)):
        return None
    if inspect.isawaitable(answer):
        if inspect.iscoroutine(answer):
            answer.close()
        raise owner.failure(hook, "answered with a coroutine", "Hooks are synchronous: write a plain `def`.")
    wanted, name = _ANSWERS[hook]
    if not isinstance(answer, wanted) or isinstance(answer, bool) or not _contents_fit(hook, answer):
        raise owner.failure(hook, f"answered {_short(answer)}", f"It answers {name}, or None to decline.")
    for part, kind in (("status", Status), ("stage", Stage)):
        value = getattr(answer, part, None)
        if isinstance(answer, Verdict | Objection | Timing) and value is not None and not isinstance(value, kind):
            raise owner.failure(
                hook, f"answered with {part} {_short(value)}", f"Use a member of tritonrl_core.types.{kind.__name__}."
            )
    return answer


def _contents_fit(hook: str, answer: Any) -> bool:
    match hook:
        case "generate_tasks":
            return all(isinstance(task, Task) for task in answer)
        case "assign_credit":
            return all(
                isinstance(credit, Credit) and math.isfinite(credit.plan) and math.isfinite(credit.code)
                for credit in answer
            )
        case "collect_metrics":
            return all(isinstance(key, str) and isinstance(value, Real) for key, value in answer.items())
    return True


def what_was_raised(before: Any, after: Any) -> str:
    """What a wrapper made better than it was, "" where nothing."""
    if isinstance(before, Objection) and after is None:
        return f"removed an objection ({before.status})"
    if before is not None and after is None:
        return "returned None instead of the answer"
    if before is None and after is not None and not isinstance(after, Objection):
        return "answered where all that it wraps declined"
    if isinstance(before, Objection | Verdict) and isinstance(after, Objection | Verdict):
        if VERDICT_RANK[after.status] > VERDICT_RANK[before.status]:
            return f"turned {before.status} into {after.status}"
        for part in ("valid", "compiled"):
            if getattr(before, part) is False and getattr(after, part):
                return f"made {part} true"
    if isinstance(before, Timing) and isinstance(after, Timing):
        if after.speedup > before.speedup:
            return f"raised the speedup from {before.speedup:.3g} to {after.speedup:.3g}"
        if before.estimated and not after.estimated:
            return "called an estimate a measurement"
        if after.reward_allowed and not before.reward_allowed:
            return "let a figure into the reward that must not enter it"
    return ""


def _short(value: object) -> str:
    text = repr(value)
    return f"{type(value).__name__} {text}" if len(text) <= 80 else f"{type(value).__name__} {text[:77]}…"

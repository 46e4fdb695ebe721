"""What is left of a plan where some of its kernels do not compile: alternatives of a tuning may fail, nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from tritonrl_core.bench.compile.request import BuildFailure, Built
from tritonrl_core.bench.plan.schema import Launch, LaunchPlan, Step, Tune


def without_failures(plan: LaunchPlan, built: Sequence[Built]) -> tuple[LaunchPlan, str]:
    """The plan without alternatives that did not compile, and a reason where something else did not."""
    failed = {
        number: f"kernel {plan.kernels[number].name} does not compile for {plan.target}: {part.reason}"
        for number, part in enumerate(built)
        if isinstance(part, BuildFailure)
    }
    if not failed:
        return plan, ""
    prologue, reason = _kept(plan.prologue, failed)
    steps, other = _kept(plan.steps, failed)
    return replace(plan, prologue=prologue, steps=steps), reason or other


def _kept(steps: Sequence[Step], failed: Mapping[int, str]) -> tuple[tuple[Step, ...], str]:
    """The steps with the alternatives that can be launched; where one has none, those before it and why."""
    kept: list[Step] = []
    for step in steps:
        variants = step.variants if isinstance(step, Tune) else ((step,),)
        good = tuple(variant for variant in variants if not _failure(variant, failed))
        if not good:
            return tuple(kept), _failure(variants[0], failed)
        kept.append(replace(step, variants=good) if isinstance(step, Tune) else step)
    return tuple(kept), ""


def _failure(steps: Sequence[Step], failed: Mapping[int, str]) -> str:
    """The first launch of a kernel that did not compile, in words; "" where there is none."""
    for step in steps:
        if isinstance(step, Launch) and step.kernel in failed:
            return f"line {step.line}: {failed[step.kernel]}"
    return ""

"""What the held-out suite says of a run, before, while and after it is trained: measured once each, whatever kills it.

How a model is evaluated is in `evaluation`; this keeps the results beside the run's other figures and reads them back.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from tritonrl_core.preset import Preset
from tritonrl_core.runs import Run, read_metrics, read_scores

if TYPE_CHECKING:
    from tritonrl_core.train.grpo import Scorer
    from tritonrl_core.train.held_out import HeldOut
    from tritonrl_core.train.model import Policy
    from tritonrl_core.train.progress import Progress


class BeforeAndAfter:
    """The evaluations of one run, on one rank. `found` has those that were asked for, by when."""

    def __init__(
        self, preset: Preset, run: Run, scorer: Callable[[], Scorer], progress: Progress, *, resumed: bool
    ) -> None:
        """`scorer` opens what judges; `resumed` says that the run may have evaluations already."""
        self.found: dict[str, HeldOut] = {}
        self._preset, self._run, self._scorer, self._progress = preset, run, scorer, progress
        self._resumed = resumed

    def wanted(self) -> bool:
        """Whether to evaluate where nobody said: yes, unless this run is resumed and has judged completions without."""
        root = self._run.paths.root
        begun = self._resumed and next(iter(read_scores(root, superseded=True)), None) is not None
        return not begun or any(row["stage"] == "eval" for row in read_metrics(root))

    def measure(self, when: str, policy: Callable[[], Policy], step: int) -> None:
        """Evaluate the policy after `step` optimiser steps, unless this run has done so before it was killed.

        Each rank takes its share of the tasks.
        """
        from accelerate import PartialState

        self.found[when] = self.known().get(when) or self._measured(when, policy(), step)
        PartialState().wait_for_everyone()

    def known(self) -> dict[str, HeldOut]:
        """What a resumed run has measured already, by when."""
        from tritonrl_core.train.held_out import HeldOut

        if not self._resumed:
            return {}
        rows = (row for row in read_metrics(self._run.paths.root) if row["stage"] == "eval")
        found = {row["when"]: HeldOut.from_figures(row) for row in rows}
        return {when: held_out for when, held_out in found.items() if held_out is not None}

    def _measured(self, when: str, policy: Policy, step: int) -> HeldOut:
        import torch
        from accelerate import PartialState

        from tritonrl_core.train.board import write_held_out
        from tritonrl_core.train.evaluation import evaluate_held_out
        from tritonrl_core.train.ranks import whole

        policy.to_device()
        with torch.random.fork_rng(), whole(policy.model):
            held_out = evaluate_held_out(policy, self._preset, self._scorer(), self._progress, f"held out, {when}")
        if PartialState().is_main_process:
            self._run.append_metrics("eval", step, {"when": when, **held_out.figures()})
            write_held_out(self._run.paths.tensorboard / "held_out", step, held_out.figures())
        return held_out

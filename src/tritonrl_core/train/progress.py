"""What training tells whoever watches it, once a step. Draws nothing; the command line does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from tritonrl_core.types import Score


@dataclass(frozen=True, slots=True)
class StepReport:
    """One optimiser step. `reward` and `correct_rate` are means over the step's completions (None in SFT);
    `level_mix` is the share of the completions at each level; `seconds_left` extrapolates from the mean step so far.
    """

    stage: str
    step: int
    total: int
    loss: float | None = None
    reward: float | None = None
    correct_rate: float | None = None
    level_mix: Mapping[int, float] = field(default_factory=dict)
    seconds_left: float = 0.0


class Progress(Protocol):
    """A watcher of a run."""

    def begin(self, stage: str, total: int) -> None:
        """A stage (`sft`, `rl`, `eval before`, …) of `total` steps starts."""
        ...

    def update(self, report: StepReport) -> None:
        """A step is done."""
        ...

    def judged(self, score: Score) -> None:
        """A completion is judged; called from one thread at a time."""
        ...

    def say(self, text: str) -> None:
        """One line for a person: what is happening, or a result."""
        ...


class Silent:
    """Watches and says nothing."""

    def begin(self, stage: str, total: int) -> None: ...

    def update(self, report: StepReport) -> None: ...

    def judged(self, score: Score) -> None: ...

    def say(self, text: str) -> None: ...

"""The plugin's class: its options with their defaults, and its hooks."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Collection, Generator, Mapping, Sequence
from random import Random
from threading import Lock
from typing import Any, Literal, Protocol, Self

from pydantic import Field, model_validator

from tritonrl_core.errors import PresetError
from tritonrl_core.plugin import Plugin, PluginContext, PluginOptions, hookimpl
from tritonrl_core.types import Credit, LevelStats, Score, Status, Task
from tritonrl_plugin_curriculum.even_odds import EvenOdds
from tritonrl_plugin_curriculum.published import PublishedSchedule, Rule
from tritonrl_plugin_curriculum.weights import cosine, progress, reweigh

Credits = Sequence[Credit] | None

RECENT = 100
"""Over how many choices the level mix is reported, and over how many groups of a level its correct rate."""


class Curriculum(Protocol):
    """What a mode is. `levels` are those that it is about; empty where it takes any."""

    levels: tuple[int, ...]

    def sample(self, levels: Collection[int], step: int, rng: Random) -> int: ...
    def sample_task(self, tasks: Sequence[Task], step: int, rng: Random) -> Task | None: ...
    def observe(self, level: int, task_key: str, family: str, correct: int, judged: int, step: int) -> None: ...
    def metrics(self, step: int) -> dict[str, float]: ...
    def state(self) -> dict[str, Any]: ...
    def load(self, state: Mapping[str, Any]) -> None: ...


class CurriculumPlugin(Plugin):
    """Moves the mix of levels as the model learns; on request also the weights of plan and speed."""

    name = "curriculum"
    hook_api = ">=1.1,<2"

    class Options(PluginOptions):
        """The published schedule by default; see `published.py`, `even_odds.py` and `weights.py` for what each does.

        `max_spread` (published): how far the window's highest and lowest rate may lie apart; None: any distance.
        `floor`, `half_life` (even_odds): the least share of each level, and of tasks taken in turn; after how many
        steps evidence counts half.
        `plan_weight_end`: where `reward.alpha` decays to over `horizon` steps; None leaves it constant.
        `speed_share_end`: share of the code's advantage that comes from speed after `horizon` steps.
        `horizon`: optimiser steps; None takes the preset's `train.grpo.max_steps`.
        """

        mode: Literal["published", "even_odds"] = "published"
        start_p: float = Field(default=0.1, ge=0, le=1)
        end_p: float = Field(default=0.5, ge=0, le=1)
        step: float = Field(default=0.05, gt=0, le=1)
        trigger: float = Field(default=0.4, ge=0, le=1)
        window: int = Field(default=5, ge=1)
        max_spread: float | None = Field(default=None, ge=0, le=1)
        floor: float = Field(default=0.1, ge=0, le=0.5)
        half_life: float = Field(default=50.0, gt=0)
        plan_weight_end: float | None = Field(default=None, ge=0)
        speed_share_end: float = Field(default=0.0, ge=0, le=1)
        horizon: int | None = Field(default=None, ge=1)

        @model_validator(mode="after")
        def _start_before_end(self) -> Self:
            if self.start_p > self.end_p:
                raise ValueError(f"start_p ({self.start_p}) is above end_p ({self.end_p}); the share only grows")
            return self

        @property
        def reweighs(self) -> bool:
            return self.plan_weight_end is not None or self.speed_share_end > 0

    options: Options

    def __init__(self, options: PluginOptions | None = None, context: PluginContext | None = None) -> None:
        super().__init__(options, context)
        self._lock = Lock()
        self._curriculum = self._chosen()
        self._choices: deque[int] = deque(maxlen=RECENT)
        self._seen: dict[int, deque[tuple[int, int]]] = {}
        if self.options.reweighs:
            self._alpha, self._horizon = _constants(self.options, self.context.preset)

    @hookimpl
    def sample_level(self, stats: Mapping[int, LevelStats], step: int, rng: Random) -> int | None:
        """A level by the mode's rule; declines where fewer than two levels can be trained on."""
        levels = [level for level in stats if self._in_preset(level)]
        if len(levels) < 2 or not set(self._curriculum.levels) <= set(levels):
            return None
        with self._lock:
            level = self._curriculum.sample(levels, step, rng)
            self._choices.append(level)
        return level

    @hookimpl
    def sample_task(self, tasks: Sequence[Task], step: int, rng: Random) -> Task | None:
        """A task by the mode's rule; the published schedule has none, and declines."""
        with self._lock:
            return self._curriculum.sample_task(tasks, step, rng)

    @hookimpl
    def observe_group(self, scores: Sequence[Score], step: int) -> None:
        """Learn from a group. `INFRA` is left out; `UNSUPPORTED` earned nothing and counts as not correct."""
        judged = [score for score in scores if score.verdict.status is not Status.INFRA]
        if not judged:
            return
        correct = sum(score.verdict.status is Status.PASSED for score in judged)
        level = judged[0].level
        with self._lock:
            self._seen.setdefault(level, deque(maxlen=RECENT)).append((correct, len(judged)))
            self._curriculum.observe(level, judged[0].task_key, judged[0].family, correct, len(judged), step)

    @hookimpl(wrapper=True)
    def assign_credit(self, scores: Sequence[Score]) -> Generator[None, Credits, Credits]:
        """Whatever the owner of this hook gave, with the weights of the group's step. Off by default."""
        credits = yield
        if credits is None or not self.options.reweighs or not scores:
            return credits
        plan_weight, speed_share = self._weights(scores[0].step)
        return reweigh(credits, self._alpha, plan_weight, speed_share)

    @hookimpl
    def collect_metrics(self, step: int) -> Mapping[str, float]:
        """Level mix and correct rates over the last choices and groups, the mode's figures, the weights in force."""
        with self._lock:
            figures = self._curriculum.metrics(step)
            counts = Counter(self._choices)
            figures |= {f"chosen_level_{level}": counts[level] / len(self._choices) for level in sorted(counts)}
            for level, groups in sorted(self._seen.items()):
                figures[f"correct_rate_level_{level}"] = sum(c for c, _ in groups) / sum(n for _, n in groups)
        if self.options.reweighs:
            figures["plan_weight"], figures["speed_share"] = self._weights(step)
        return figures

    def state_dict(self) -> dict[str, Any]:
        with self._lock:
            return {
                "mode": self.options.mode,
                "curriculum": self._curriculum.state(),
                "choices": list(self._choices),
                "seen": {str(level): [list(group) for group in groups] for level, groups in self._seen.items()},
            }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a checkpoint. Raises `PresetError` where it was written under another mode."""
        if state["mode"] != self.options.mode:
            raise PresetError(
                f"The checkpoint's curriculum ran in mode {state['mode']}, and the preset says {self.options.mode}.",
                remedy=f"Resume with --set plugins.curriculum.mode={state['mode']}, or start a new run.",
            )
        with self._lock:
            self._curriculum.load(state["curriculum"])
            self._choices = deque(state["choices"], maxlen=RECENT)
            self._seen = {
                int(level): deque(((c, n) for c, n in groups), maxlen=RECENT) for level, groups in state["seen"].items()
            }

    def _chosen(self) -> Curriculum:
        own = self.options
        if own.mode == "even_odds":
            return EvenOdds(own.floor, own.half_life)
        return PublishedSchedule(Rule(own.start_p, own.end_p, own.step, own.trigger, own.window, own.max_spread))

    def _in_preset(self, level: int) -> bool:
        """Whether the preset's `levels` has any use for this level; without a preset every level is in it."""
        levels = self.context.preset.get("levels")
        return levels is None or any(int(name) == level and weight > 0 for name, weight in levels.items())

    def _weights(self, step: int) -> tuple[float, float]:
        """Weight of the plan's advantage and share of speed in the code's, at a step."""
        share = progress(step, self._horizon)
        end = self._alpha if self.options.plan_weight_end is None else self.options.plan_weight_end
        return cosine(self._alpha, end, share), cosine(0.0, self.options.speed_share_end, share)


def _constants(options: CurriculumPlugin.Options, preset: Mapping[str, Any]) -> tuple[float, int]:
    """Alpha and the horizon in steps. Raises `PresetError` where the preset leaves nothing to work on."""
    alpha = preset.get("reward", {}).get("alpha", 0.1)
    if alpha <= 0:
        raise PresetError(
            "curriculum.plan_weight_end and speed_share_end re-weigh the plan's advantage, but reward.alpha is 0.",
            remedy="Set reward.alpha above 0, or leave both options out.",
        )
    horizon = options.horizon or preset.get("train", {}).get("grpo", {}).get("max_steps")
    if not isinstance(horizon, int) or horizon < 1:
        raise PresetError(
            "curriculum.plan_weight_end and speed_share_end need to know how long the run is.",
            remedy="Set curriculum.horizon, or train.grpo.max_steps.",
        )
    return float(alpha), horizon

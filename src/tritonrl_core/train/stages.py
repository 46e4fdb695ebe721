"""Where a stage of a run takes up, and what it leaves: its checkpoints and its finished model. Trains nothing."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tritonrl_core.preset import Preset
from tritonrl_core.runs import Run
from tritonrl_core.train.progress import Progress

if TYPE_CHECKING:
    from tritonrl_core.train.model import Policy


@dataclass(frozen=True)
class Stages:
    """The stages of one run (`sft`, `rl`), on one rank. `resumed` says that some of them may have begun."""

    preset: Preset
    run: Run
    progress: Progress
    resumed: bool

    def final(self, stage: str) -> Path:
        """The folder of the stage's model; it is there when the stage has ended."""
        return self.run.paths.checkpoints(stage) / "final"

    def load(self, source: str | Path) -> Policy:
        """A policy from a folder or a name, as the preset wants it loaded."""
        from tritonrl_core.train.model import load_policy

        return load_policy(source, **self._options)

    def take_up(self, stage: str) -> Path | None:
        """The checkpoint to go on from, after saying on disk that what came behind it does not count."""
        from accelerate import PartialState

        from tritonrl_core.train.metrics import latest_checkpoint

        if not self.resumed:
            return None
        found = latest_checkpoint(self.run.paths.checkpoints(stage))
        if PartialState().is_main_process:
            self.run.supersede(stage, found[1] if found else 0)
            if stage == "rl":
                self.run.supersede("eval", found[1] if found else 0)
        self.progress.say(f"{stage}: going on from step {found[1]}." if found else f"{stage}: starting over.")
        return found[0] if found else None

    def finish(self, stage: str, policy: Policy, trainer: Any) -> Policy:
        """Save the stage's model so that it is there whole or not at all; what was trained, as it is to be sampled.

        For all ranks to call.
        """
        from accelerate import PartialState

        from tritonrl_core.train.config import lora_config
        from tritonrl_core.train.ranks import is_sharded, trained_policy

        trained = trained_policy(trainer, policy, lora_config(self.preset), **self._options)
        if trained is not None and PartialState().is_main_process:
            half = self.final(stage).with_name("final.tmp")
            trained.model.save_pretrained(half)
            trained.tokenizer.save_pretrained(half)
            half.replace(self.final(stage))
        PartialState().wait_for_everyone()
        return self.load(self.final(stage)) if is_sharded(trainer.model) else policy

    @property
    def _options(self) -> dict[str, Any]:
        return dict(self.preset.train.grpo.get("model_init_kwargs", {}))

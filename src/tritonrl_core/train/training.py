"""The stages of one run on one rank, and what they share: session, folder, verifier, progress.

Puts the rooms together and holds no algorithm: data, SFT and GRPO are in the modules beside this one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tritonrl_core.errors import UsageError
from tritonrl_core.preset import Preset
from tritonrl_core.runs import Run, read_run
from tritonrl_core.train.before_and_after import BeforeAndAfter
from tritonrl_core.train.faults import FaultLimit
from tritonrl_core.train.opening import check, collect_tasks, open_run, own_preset, with_model
from tritonrl_core.train.progress import Progress, Silent
from tritonrl_core.train.stages import Stages
from tritonrl_core.types import Score, Task

if TYPE_CHECKING:
    from tritonrl_core.session import Session
    from tritonrl_core.train.grpo import KernelGRPOTrainer, Scorer
    from tritonrl_core.train.model import Policy

OpenScorer = Callable[[Preset, "Session", Sequence[Score]], "Scorer"]
"""Opens what judges: given the preset, the session and the scores that are known already."""


class Training:
    """What the stages of one run share, on one rank."""

    def __init__(
        self,
        preset: Preset,
        run: Run,
        session: Session,
        resumed: bool,
        progress: Progress,
        open_scorer: OpenScorer,
    ) -> None:
        from accelerate import PartialState

        self.preset = preset
        self.run = run
        self.session = session
        self.progress = progress
        self.stages = Stages(preset, run, progress, resumed)
        self.steps = {"sft": 0, "rl": 0}
        self.held_out = BeforeAndAfter(preset, run, self._verifier, progress, resumed=resumed)
        self.model_folder = Path()
        self._open_scorer = open_scorer
        self._scorer: Scorer | None = None
        self._faults = FaultLimit()
        self._ranks = PartialState()

    @classmethod
    def start(
        cls,
        preset: Preset | None,
        model: str | None,
        out: Path | None,
        resume: Path | None,
        progress: Progress,
        open_scorer: OpenScorer,
    ) -> Training:
        """Open session and folder; refuse what cannot work before anything is loaded."""
        if resume is not None:
            preset = own_preset(resume)
        elif preset is None:
            raise UsageError("Neither a preset nor a run to resume was named.", remedy="Name a preset: --preset NAME.")
        if resume is None:
            preset = with_model(preset, model)
        check(preset)

        from accelerate import PartialState

        from tritonrl_core.session import Session

        progress = progress if PartialState().is_main_process else Silent()
        session = Session.open(preset)
        tasks = collect_tasks(session, progress) if resume is None else None
        run = open_run(preset, session, out, resume)
        progress.say(f"run folder: {run.paths.root}")
        if resume is not None:
            for difference in session.lock_differences(read_run(resume)[1]):
                progress.say(f"not as the run began: {difference}; scores are judged anew")
        training = cls(preset, run, session, resume is not None, progress, open_scorer)
        if tasks is not None:
            training.tasks = tasks
        return training

    @cached_property
    def tasks(self) -> list[Task]:
        """The tasks to train on."""
        return collect_tasks(self.session, self.progress)

    def cold_start(self) -> None:
        """The SFT stage, unless it is done or the preset leaves it out (`train.sft.max_steps: 0`)."""
        from tritonrl_core.tasks.golden import golden_solutions
        from tritonrl_core.train.config import lora_config, sft_config
        from tritonrl_core.train.sft import sft_rows, train_sft

        if self.preset.train.sft.get("max_steps") == 0:
            self.progress.say("sft: left out by the preset (train.sft.max_steps: 0).")
            self.model_folder = Path(self._source())
            return
        self.model_folder = self.stages.final("sft")
        if self.model_folder.is_dir():
            return
        policy = self.stages.load(self._source())
        rows = sft_rows(policy, self.tasks, golden_solutions(), self.preset.verifier.delegation)
        config = sft_config(self.preset, self.run.paths.checkpoints("sft"))
        checkpoint = self.stages.take_up("sft")
        trainer = train_sft(policy, rows, config, self._callbacks("sft", dict), checkpoint, lora_config(self.preset))
        self.stages.finish("sft", policy, trainer)

    def reinforce(self, evaluate: bool) -> None:
        """The GRPO stage, from the cold start's model where there is one."""
        from tritonrl_core.train.metrics import saved_state

        self.model_folder = self.stages.final("rl")
        if self.model_folder.is_dir():
            self._report_complete(evaluate)
            return
        self._verifier()  # its workers get warm while the model is loaded
        warm = self.stages.final("sft")
        policy = self.stages.load(warm if warm.is_dir() else self._source())
        if evaluate:
            self.held_out.measure("before", lambda: policy, 0)
        checkpoint = self.stages.take_up("rl")
        trainer = self._grpo_trainer(policy)
        if evaluate and self.preset.eval.every:
            self._evaluate_on_the_way(trainer, policy)
        if checkpoint is not None:
            trainer.load_saved_state(saved_state(checkpoint))
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
        self.steps["rl"] = trainer.state.global_step
        trained = self.stages.finish("rl", policy, trainer)
        if evaluate:
            self.held_out.measure("after", lambda: trained, self.steps["rl"])

    def _grpo_trainer(self, policy: Policy) -> KernelGRPOTrainer:
        """TRL's trainer with everything of this run's in it."""
        from transformers import PrinterCallback

        from tritonrl_core.train.config import grpo_config, lora_config
        from tritonrl_core.train.data import TaskStream
        from tritonrl_core.train.grpo import KernelGRPOTrainer

        def prompt(task: Task) -> Any:
            return policy.prompt(task, self.preset.verifier.delegation)

        trainer = KernelGRPOTrainer(
            model=policy.model,
            tokenizer=policy.tokenizer,
            args=grpo_config(self.preset, self.run.paths.checkpoints("rl")),
            stream=TaskStream(self.tasks, self.session, prompt, self.preset.seed),
            scorer=self._verifier(),
            hooks=self.session,
            on_score=self._keep,
            peft_config=lora_config(self.preset),
        )
        trainer.remove_callback(PrinterCallback)
        for callback in self._callbacks("rl", trainer.state_to_save):
            trainer.add_callback(callback)
        return trainer

    def _evaluate_on_the_way(self, trainer: KernelGRPOTrainer, policy: Policy) -> None:
        """Measure the held-out suite every so many steps (`eval.every`)."""
        from tritonrl_core.train.metrics import EvaluateEvery

        def now(step: int) -> None:
            model = trainer.accelerator.unwrap_model(trainer.model)
            self.held_out.measure(f"step {step}", lambda: replace(policy, model=model), step)

        trainer.add_callback(EvaluateEvery(self.preset.eval.every, now))

    def close(self) -> None:
        close = getattr(self._scorer, "close", None)
        if close is not None:
            close()
        self.run.close()

    def _source(self) -> str:
        from tritonrl_core.models import resolve_model

        return str(resolve_model(self.preset.train.model))

    def _verifier(self) -> Scorer:
        if self._scorer is None:
            self._scorer = self._open_scorer(self.preset, self.session, self.run.known_scores())
        return self._scorer

    def _report_complete(self, evaluate: bool) -> None:
        """A run that was resumed and has nothing left to train; its last evaluation may still be due."""
        self.progress.say(f"{self.run.paths.root}: this run is complete.")
        if evaluate:
            self.held_out.found.update(self.held_out.known())
            steps = int(self.preset.train.grpo["max_steps"])
            self.held_out.measure("after", lambda: self.stages.load(self.model_folder), steps)

    def _keep(self, score: Score) -> None:
        self.run.append_score(score)
        self.progress.judged(score)
        self._faults(score)

    def _callbacks(self, stage: str, state_to_save: Any) -> Sequence[Any]:
        from tritonrl_core.train.board import Board
        from tritonrl_core.train.metrics import CheckpointMark, RunCallback

        mark = CheckpointMark(self.run, state_to_save)
        if not self._ranks.is_main_process:
            return (mark,)
        return (RunCallback(self.run, stage, self.progress), Board(self.run.paths.tensorboard / stage), mark)

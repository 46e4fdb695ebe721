"""What must be there and open before a run can begin: a preset that fits this machine, the run's folder, the verifier.

Loads no model and trains nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from tritonrl_core.errors import InfraError, UsageError
from tritonrl_core.preset import Preset
from tritonrl_core.runs import EVAL_FILE, Run, RunPaths, new_run_folder, read_run
from tritonrl_core.types import Score, Task

if TYPE_CHECKING:
    from tritonrl_core.serve.client import RemoteVerifier
    from tritonrl_core.session import Session
    from tritonrl_core.train.progress import Progress
    from tritonrl_core.verifier import Verifier

log = logging.getLogger(__name__)


def with_model(preset: Preset, model: str | None) -> Preset:
    """The preset with another model to train; as it is, for None."""
    if model is None:
        return preset
    return preset.model_copy(update={"train": preset.train.model_copy(update={"model": model})})


def check(preset: Preset) -> None:
    """Raise `UsageError` or its kin for what the preset asks for and this machine has not, the cheapest question first.

    Loads TRL and what it stands on, and quiets them.
    """
    from tritonrl_core.models import resolve_model

    resolve_model(preset.train.model)
    if preset.verifier.url is not None:
        check_service(preset)
    quiet_libraries()

    from tritonrl_core.bench.resolve import resolve_spec
    from tritonrl_core.tasks.suites import check_suites
    from tritonrl_core.train.config import check_trainer_options
    from tritonrl_core.train.ranks import check_ranks

    check_ranks()
    check_trainer_options(preset)
    warn_of_rounding(preset)
    if preset.verifier.url is None:
        resolve_spec(preset)
    check_suites(preset)


def warn_of_rounding(preset: Preset) -> None:
    """Log where weights are trained in half precision: a step of 1e-6 is lost in all but the smallest of them.

    Adapters are no such case: peft keeps them in float32, and what is rounded stays as it is.
    """
    dtype = str(preset.train.grpo.get("model_init_kwargs", {}).get("dtype", "float32")).removeprefix("torch.")
    if preset.train.lora is None and dtype in ("bfloat16", "float16"):
        log.warning(
            "all weights are trained in %s, where most steps of the learning rate are lost in rounding: "
            "set train.grpo.model_init_kwargs.dtype=float32 (computing stays in bfloat16), or train.lora",
            dtype,
        )


def open_verifier(preset: Preset, session: Session, known: Sequence[Score]) -> Verifier | RemoteVerifier:
    """What judges, unless the caller brings something else: here, or a service (which knows what it judged)."""
    if preset.verifier.url is not None:
        from tritonrl_core.serve.client import RemoteVerifier

        return RemoteVerifier(preset.verifier.url, reward=preset.reward)
    from tritonrl_core.verifier import Verifier

    return Verifier(preset, session, known=known)


def check_service(preset: Preset) -> None:
    """Raise `UsageError` where there is no service at `verifier.url`, it refuses us, or its client is not installed."""
    if find_spec("httpx") is None:
        raise UsageError("verifier.url needs httpx", remedy="pip install 'tritonrl-core[serve]'")
    from tritonrl_core.serve.client import RemoteVerifier

    with RemoteVerifier(preset.verifier.url or "") as service:
        try:
            found = service.health()
            service.tasks(level=1)  # whether the token is the right one
        except InfraError as error:
            raise UsageError(f"verifier.url: {error.message}", remedy=error.remedy) from error
    if found.get("preset") != preset.name:
        log.warning(
            "verifier.url: the service judges under preset %s, this run is of %s", found.get("preset"), preset.name
        )


def own_preset(run: Path) -> Preset:
    """The preset that a training run began with. Raises `UsageError` where the folder is another kind's, or none's."""
    data, remedy = read_run(run)[0], ""
    if (run / EVAL_FILE).exists():
        remedy = f"It is an evaluation's: go on with it by `tritonrl eval --resume {run}`."
    elif not RunPaths(run).checkpoints("").is_dir():
        remedy = "It has no checkpoints/: start a new run."
    if remedy:
        raise UsageError(f"{run} is no training run's folder", remedy=remedy)
    return Preset.from_data(data, label=str(run))


def collect_tasks(session: Session, progress: Progress) -> list[Task]:
    """The tasks to train on: the main process's, on every rank. What is left out (unfit, or tested on) is said, and a
    level of the preset's mix that has no tasks.

    Raises `UsageError` where none is left.
    """
    from accelerate import PartialState

    from tritonrl_core.train.ranks import from_main

    kept: list[Task] = []
    if PartialState().is_main_process:
        found = session.tasks("train")
        for line in (*found.summary, *_empty_levels(session.preset.levels, found.kept)):
            progress.say(line)
        kept = found.kept
    kept = from_main(kept)
    if not kept:
        raise UsageError("There are no tasks to train on.", remedy="Set tasks.suite or tasks.paths in the preset.")
    return kept


def _empty_levels(mix: Mapping[int, float], tasks: Sequence[Task]) -> list[str]:
    empty = sorted({level for level, weight in mix.items() if weight > 0} - {task.level for task in tasks})
    return [f"levels: there is no task of level {level}; its weight goes to the others" for level in empty if tasks]


def open_run(preset: Preset, session: Session, out: Path | None, resume: Path | None) -> Run:
    """The run's folder, made or opened by the main process first, so that all ranks name the same one."""
    from accelerate import PartialState
    from accelerate.utils import broadcast_object_list

    ranks = PartialState()
    folder = [resume or out or new_run_folder(preset.name)]
    broadcast_object_list(folder)
    with ranks.main_process_first():
        if resume is None and ranks.is_main_process:
            return Run.create(folder[0], preset.dump(), session.lock())
        return Run.open(folder[0], repair=ranks.is_main_process)


def quiet_libraries() -> None:
    """No progress bars of the libraries' own across ours, and nothing about what TRL and transformers rename."""
    import warnings

    import datasets
    import transformers

    warnings.filterwarnings("ignore", category=FutureWarning, module=r"(transformers|trl)\.")
    datasets.disable_progress_bars()
    transformers.utils.logging.disable_progress_bar()
    logging.getLogger("transformers.trainer").addFilter(_is_not_about_a_shared_weight)


def _is_not_about_a_shared_weight(entry: logging.LogRecord) -> bool:
    """False where a checkpoint is said to lack the output layer alone: that is the embedding, and lies there once."""
    return "missing keys in the checkpoint model loaded: ['lm_head.weight']" not in entry.getMessage()

"""What must be there and open before a run can begin: a preset that fits this machine, the run's folder, the verifier.

Loads no model and trains nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tritonrl_core.preset import Preset
from tritonrl_core.runs import Run, new_run_folder
from tritonrl_core.types import Score

if TYPE_CHECKING:
    from tritonrl_core.session import Session
    from tritonrl_core.verifier import Verifier


def check(preset: Preset) -> None:
    """Raise `UsageError` or its kin for what the preset asks for and this machine has not."""
    from tritonrl_core.bench.resolve import resolve_spec
    from tritonrl_core.evaluate import tasks_to_judge_by
    from tritonrl_core.models import resolve_model
    from tritonrl_core.train.config import check_trainer_options

    check_trainer_options(preset)
    resolve_model(preset.train.model)
    resolve_spec(preset)
    tasks_to_judge_by(preset.eval.suite, preset.train.model, preset.tasks.size)


def open_verifier(preset: Preset, session: Session, known: Sequence[Score]) -> Verifier:
    """What judges, unless the caller brings something else."""
    from tritonrl_core.verifier import Verifier

    return Verifier(preset, session, known=known)


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

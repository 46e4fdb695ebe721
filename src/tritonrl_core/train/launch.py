"""Start training as several processes, by accelerate and one of its configurations. Trains nothing.

Two configurations ship beside this module: `configurations/ddp.yaml` and `configurations/fsdp2.yaml`.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tritonrl_core.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from tritonrl_core.preset import Preset

FOLDER = Path(__file__).parent / "configurations"


def configuration(name: str) -> Path:
    """The file of a shipped configuration, or the file named. Raises `UsageError` where there is neither."""
    shipped = {path.stem: path for path in sorted(FOLDER.glob("*.yaml"))}
    if name in shipped:
        return shipped[name]
    if Path(name).is_file():
        return Path(name)
    raise UsageError(
        f"There is no launch configuration {name!r}.",
        remedy=did_you_mean(name, shipped) or f"Use {', '.join(shipped)}, or a file of `accelerate config`.",
    )


def processes_for(preset: Preset) -> int:
    """A process for each GPU that is not the verifier's own. Raises `UsageError` where that leaves none.

    Training takes the first GPUs, so the verifier's should be the last.
    """
    from tritonrl_core.bench.resolve import visible_gpus

    gpus = {gpu.index for gpu in visible_gpus()}
    kept = preset.verifier.gpus
    own = set() if isinstance(kept, str) else set(kept)
    free = gpus - own
    if not free:
        raise UsageError(
            "There is no GPU to train on." if not gpus else "verifier.gpus leaves no GPU to train on.",
            remedy="Say how many processes are to train: --processes N.",
        )
    if max(free) >= len(free):
        raise UsageError(
            f"verifier.gpus names {sorted(own)}, and training takes the first GPUs.",
            remedy=f"Leave the verifier the last ones: --set verifier.gpus={sorted(gpus)[len(free) :]}.",
        )
    return len(free)


def command(name: str, processes: int, program: Sequence[str]) -> list[str]:
    """The command that starts `program` (a module by `-m`, or a file, and its arguments) in so many processes."""
    launcher = [sys.executable, "-m", "accelerate.commands.launch", "--config_file", str(configuration(name))]
    return [*launcher, "--num_processes", str(processes), "--main_process_port", "0", *program]

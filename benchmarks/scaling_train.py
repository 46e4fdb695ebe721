"""A training step on 1, 2 and 4 GPUs, with a real architecture: seconds, and completions a second.

    python benchmarks/scaling_train.py [--ranks 1,2,4] [--launch ddp] [--prompts 4] [--tokens 128] [--steps 4]

Each rank has the same number of prompts (weak scaling), eight completions each. Model and stand-in for what it would
write are those of `step_split.py`; each rank judges its own share, on its own GPU and its share of the cores.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from step_split import GROUP, SHOWN, StandIn, preset_for, split, write_model

from tritonrl_core.preset import Preset
from tritonrl_core.runs import read_metrics
from tritonrl_core.train.launch import command


def one_rank(options: argparse.Namespace) -> None:
    """What each process of a run does."""
    from accelerate import PartialState

    from tritonrl_core.train.run import train
    from tritonrl_core.verifier import Verifier

    def open_scorer(preset: Preset, session: Any, known: Sequence[Any]) -> StandIn:
        return StandIn(Verifier(preset, session, known=known))

    preset = preset_for(options.scratch / "model", options.tokens, options.steps, options.prompts, options.size)
    train(preset, out=options.scratch / "run", open_scorer=open_scorer)
    PartialState().destroy_process_group()


def measure(options: argparse.Namespace, ranks: int) -> dict[str, Any]:
    """One run on so many GPUs, the first step left out."""
    with tempfile.TemporaryDirectory() as scratch:
        write_model(Path(scratch) / "model", options.layers, options.hidden, options.vocabulary)
        names = ("tokens", "steps", "prompts", "size")
        given = [part for name in names for part in (f"--{name}", str(getattr(options, name)))]
        program = [__file__, *given, "--scratch", scratch]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}
        if ranks == 1:
            environment["CUDA_VISIBLE_DEVICES"] = os.environ.get("CUDA_VISIBLE_DEVICES", "0").split(",")[0]
        began = time.monotonic()
        started = command(options.launch, ranks, program) if ranks > 1 else [sys.executable, *program]
        done = subprocess.run(started, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        whole_s = round(time.monotonic() - began, 1)
        rows = list(read_metrics(Path(scratch) / "run")) if done.returncode == 0 else []
    if not rows:
        sys.stderr.write(done.stderr[-3000:])
        return {"ranks": ranks, "launch": options.launch, "failed": done.returncode, "run_s": whole_s}
    for row in rows:
        sys.stderr.write(json.dumps({key: row.get(key) for key in ("step", *SHOWN)}) + "\n")
    figures = split(rows[1:] or rows)
    completions = ranks * options.prompts * GROUP
    return {
        "ranks": ranks,
        "launch": options.launch if ranks > 1 else "",
        "completions": completions,
        "tokens": options.tokens,
        **figures,
        "completions_per_s": round(completions / figures["step_s"], 2),
        "run_s": whole_s,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ranks", default="1,2,4")
    parser.add_argument("--launch", default="ddp", help="ddp or fsdp2, for more than one rank")
    parser.add_argument("--tokens", type=int, default=128, help="length of each completion")
    parser.add_argument("--steps", type=int, default=4, help="the first one, with its warm-up, is left out")
    parser.add_argument("--prompts", type=int, default=4, help="of a step and a rank, with eight completions each")
    parser.add_argument("--layers", type=int, default=28)
    parser.add_argument("--hidden", type=int, default=1024)
    parser.add_argument("--vocabulary", type=int, default=151_936)
    parser.add_argument("--size", default="full", help="of the suite's tasks: full or small")
    parser.add_argument("--scratch", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.scratch:
        one_rank(options)
        return
    for ranks in map(int, options.ranks.split(",")):
        sys.stdout.write(json.dumps(measure(options, ranks)) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()

"""A training step on 1, 2 and 4 GPUs, with a real architecture: seconds, and completions a second.

    python benchmarks/scaling_train.py [--ranks 1,2,4] [--launch ddp,fsdp2] [--prompts 4] [--tokens 128] [--model DIR]

Each rank has the same number of prompts (weak scaling), eight completions each. Model and stand-in for what it would
write are those of `step_split.py`; each rank judges its own share, on its own GPU and its share of the cores.
"""

from __future__ import annotations

import argparse
import faulthandler
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from gpu_count import possible
from step_split import GROUP, SHOWN, StandIn, preset_for, split, write_model
from tables import Table, save

from tritonrl_core.bench.resolve import visible_gpus
from tritonrl_core.preset import Preset
from tritonrl_core.runs import read_metrics
from tritonrl_core.train.launch import command


def one_rank(options: argparse.Namespace) -> None:
    """What each process of a run does."""
    from accelerate import PartialState

    from tritonrl_core.train.run import train
    from tritonrl_core.verifier import Verifier

    faulthandler.dump_traceback_later(options.limit_s, exit=True)  # where it hangs, if it does and nobody ends it

    def open_scorer(preset: Preset, session: Any, known: Sequence[Any]) -> StandIn:
        return StandIn(Verifier(preset, session, known=known))

    preset = preset_for(options.model, options.tokens, options.steps, options.prompts, options.size)
    train(preset, out=options.run, open_scorer=open_scorer)
    PartialState().destroy_process_group()


def make_model(options: argparse.Namespace) -> None:
    """A folder with configuration, tokenizer and random weights, so that no rank need draw them."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    if (options.model / "model.safetensors").exists():
        return
    write_model(options.model, options.layers, options.hidden, options.vocabulary)
    torch.manual_seed(0)
    with torch.device("cuda" if torch.cuda.is_available() else "cpu"):
        model = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(options.model), dtype=torch.bfloat16)
    model.save_pretrained(options.model)


def measure(options: argparse.Namespace, ranks: int, launch: str, folder: Path) -> dict[str, Any]:
    """One run on so many GPUs, the first step left out; `launch` is "" for one. What the ranks say goes to a file
    beside the run."""
    names = ("tokens", "steps", "prompts", "size", "limit_s", "model")
    given = [part for name in names for part in (f"--{name.replace('_', '-')}", str(getattr(options, name)))]
    program = [__file__, *given, "--run", str(folder)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}
    if not launch:
        environment["CUDA_VISIBLE_DEVICES"] = os.environ.get("CUDA_VISIBLE_DEVICES", "0").split(",")[0]
    began = time.monotonic()
    started = command(launch, ranks, program) if launch else [sys.executable, *program]
    with folder.with_suffix(".log").open("w+") as said:
        process = subprocess.Popen(started, env=environment, stdout=said, stderr=said)
        code = watched(process, folder, began + options.limit_s)
        said.seek(0)
        words = said.read()
    rows = metrics(folder)
    told = {"ranks": ranks, "launch": launch, "size": options.size, "run_s": round(time.monotonic() - began, 1)}
    if code or len(rows) < 2:
        sys.stderr.write(words[-8000:])
        told |= {"failed": code}
    if len(rows) < 2:
        return {**told, "steps_done": len(rows)}
    figures = split(rows[1:])  # of a run that failed those that it had finished
    completions = ranks * options.prompts * GROUP
    return {
        **told,
        "completions": completions,
        "tokens": options.tokens,
        **figures,
        "each_step_s": [round(row["step_time"], 1) for row in rows[1:]],
        "completions_per_s": round(completions / figures["step_s"], 2),
    }


def watched(process: subprocess.Popen[bytes], folder: Path, deadline: float) -> int:
    """How it ended. Its steps are shown as they come; at the deadline it is ended with all that it started."""
    shown = 0
    while process.poll() is None:
        if time.monotonic() > deadline:
            end(process)
        time.sleep(0.5)
        rows = metrics(folder)
        for row in rows[shown:]:
            told = {key: row.get(key) for key in ("step", *SHOWN)} | {"at": time.strftime("%X")}
            sys.stderr.write(json.dumps(told) + "\n")
            sys.stderr.flush()
        shown = len(rows)
    return int(process.returncode)


def end(process: subprocess.Popen[bytes]) -> None:
    """A launcher ends its ranks, which are in sessions of their own, if it is asked and not killed."""
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def metrics(folder: Path) -> list[dict[str, Any]]:
    return list(read_metrics(folder)) if folder.exists() else []


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ranks", default="1,2,4")
    parser.add_argument("--launch", default="ddp", help="for more than one rank: ddp, fsdp2 or ddp,fsdp2")
    parser.add_argument("--tokens", type=int, default=128, help="length of each completion")
    parser.add_argument("--steps", type=int, default=4, help="the first one, with its warm-up, is left out")
    parser.add_argument("--prompts", type=int, default=4, help="of a step and a rank, with eight completions each")
    parser.add_argument("--layers", type=int, default=28)
    parser.add_argument("--hidden", type=int, default=1024)
    parser.add_argument("--vocabulary", type=int, default=151_936)
    parser.add_argument("--size", default="full", help="of the suite's tasks: full or small")
    parser.add_argument("--model", type=Path, help="where the random model is, or is to be put")
    parser.add_argument(
        "--limit-s", type=float, default=600.0, help="seconds after which a run is ended, with what it has"
    )
    parser.add_argument("--table", type=Path, nargs="+", help="measure nothing: the table of what was printed")
    parser.add_argument("--run", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.table:
        save(table([json.loads(line) for path in options.table for line in path.read_text().splitlines()]))
        return
    if options.run:
        one_rank(options)
        return
    rows, wanted = [], [count for count in options.ranks.split(",") if count]
    with tempfile.TemporaryDirectory() as scratch:
        options.model = options.model or Path(scratch) / "model"
        make_model(options)
        # Without any GPU it is tried on the CPU.
        counts = map(int, possible({count: int(count) for count in wanted}, len(visible_gpus()) or sys.maxsize))
        for ranks, launch in runs(counts, options.launch.split(",")):
            told = measure(options, ranks, launch, Path(scratch) / f"run-{ranks}-{launch}")
            sys.stdout.write(json.dumps(told) + "\n")
            sys.stdout.flush()
            rows.append(told)
            save(table(rows))


def runs(counts: Iterable[int], launches: Sequence[str]) -> Iterator[tuple[int, str]]:
    """Each number of ranks by each launcher; one rank needs none."""
    for ranks in counts:
        for launch in launches if ranks > 1 else [""]:
            yield ranks, launch


def table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """A row a run, with its rate against the first's."""
    done = [row for row in rows if "step_s" in row]
    columns = ["GPUs", "how", "completions a step", "seconds a step", "generation", "verification", "optimisation",
               "completions a second", "against the first row", "each step, s"]  # fmt: skip
    body = [
        [row["ranks"], row["launch"] or "one process", row["completions"],
         *(row[f"{name}_s"] for name in ("step", "generation", "verification", "optimisation")),
         row["completions_per_s"], f"{row['completions_per_s'] / done[0]['completions_per_s']:.2f}×",
         ", ".join(map(str, row["each_step_s"]))]
        for row in done
    ]  # fmt: skip
    notes = [
        f"{row['ranks']} GPUs, {row['launch'] or 'one process'}: ended by its limit with "
        + (f"{row['steps']} steps that count" if row in done else "no step that counts")
        for row in rows if "failed" in row or row not in done
    ]  # fmt: skip
    ranks = ",".join(dict.fromkeys(str(row["ranks"]) for row in rows))
    launches = ",".join(dict.fromkeys(row["launch"] for row in rows if row["launch"])) or "ddp"
    command = f"python benchmarks/scaling_train.py --ranks {ranks} --launch {launches} --size {rows[0]['size']}"
    return Table("scaling-train", columns, body, command, notes)


if __name__ == "__main__":
    main()

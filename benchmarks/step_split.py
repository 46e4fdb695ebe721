"""Where a training step's time goes with a real architecture: generation, verification, optimisation.

    python benchmarks/step_split.py [--tokens 640] [--steps 3] [--prompts 8] [--layers 28 --hidden 1024] [--save]
    python benchmarks/step_split.py --judge-only        # verification alone: of new tasks, and of the same ones again
    … --timeline FILE                                   # and what each batch was made of, second by second

The model is a Qwen3 of 0.6 billion parameters with random weights (there is no network here), trained by GRPO under
`all_extensions`. What it writes is noise, so the verifier is given something to do in its place: for each completion a
golden solution of its task or one of seven edits of it (three of them with other warps, two wrong, one that does not
build, one that is no Python). Generation, by transformers and not vLLM, and optimisation are of the real noise.
"""

from __future__ import annotations

import argparse
import importlib.resources
import json
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from random import Random
from statistics import fmean
from typing import Any

from tables import Table, save
from timeline import watched

from tritonrl_core.preset import Preset, load_preset
from tritonrl_core.runs import read_metrics, read_scores
from tritonrl_core.tasks.golden import golden_solutions
from tritonrl_core.types import Candidate, Score, Task

QWEN3_VOCABULARY = 151_936
GROUP = 8


def variants(code: str) -> list[str]:
    """A group's worth of candidates from one right solution: right ones, wrong ones, broken ones."""

    def warps(count: int) -> str:
        changed = re.sub(r"num_warps=\d+", f"num_warps={count}", code)
        return changed if changed != code else f"{code}\n# {count}\n"

    return [
        code,
        warps(1),
        warps(2),
        warps(8),
        code.replace("tl.load(", "1.5 * tl.load(", 1),
        code.replace("tl.load(", "0.5 * tl.load(", 1),
        code.replace("tl.store(", "tl.keep(", 1),
        code + "\ndef broken(:\n",
    ]


class StandIn:
    """A verifier that judges a golden solution's variants in place of what the model wrote."""

    def __init__(self, verifier: Any, timeline: Path | None = None) -> None:
        self._verifier, self._timeline = verifier, timeline
        self._codes = {golden.task_id: variants(golden.code) for golden in golden_solutions()}
        self.statuses: Counter[str] = Counter()

    def verify_batch(
        self, jobs: Sequence[tuple[Task, Candidate]], on_score: Callable[[int, Score], None] | None = None
    ) -> list[Score]:
        given = [
            (task, Candidate.from_code(self._codes[task.id][place % GROUP])) for place, (task, _) in enumerate(jobs)
        ]
        with told_in(self._timeline):
            scores: list[Score] = self._verifier.verify_batch(given, on_score=on_score)
        self.statuses.update(score.verdict.status.value for score in scores)
        return scores

    def close(self) -> None:
        self._verifier.close()


@contextmanager
def told_in(file: Path | None) -> Iterator[None]:
    """Add the timeline of what is judged meanwhile to a file."""
    if file is None:
        yield
        return
    with watched() as watch:
        yield
    with file.open("a", encoding="utf-8") as lines:
        lines.write("\n".join(watch.told()) + "\n\n")


def write_model(folder: Path, layers: int, hidden: int, vocabulary: int) -> None:
    """Configuration and tokenizer of a Qwen3 without weights: `load_policy` gives it random ones."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast, Qwen3Config

    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=8192,
        special_tokens=["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    raw.train_from_iterator([golden.code for golden in golden_solutions()], trainer)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=raw, eos_token="<|im_end|>", pad_token="<|endoftext|>")
    tokenizer.chat_template = (importlib.resources.files("trl") / "chat_templates" / "qwen3.jinja").read_text()
    heads = max(2, hidden // 64)
    Qwen3Config(
        vocab_size=vocabulary,
        hidden_size=hidden,
        intermediate_size=3 * hidden,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=max(1, heads // 2),
        head_dim=128,
        tie_word_embeddings=True,
        eos_token_id=tokenizer.eos_token_id,
        bos_token_id=None,
        pad_token_id=tokenizer.pad_token_id,
    ).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def preset_for(folder: Path, tokens: int, steps: int, prompts: int, size: str) -> Preset:
    data = load_preset("all_extensions", ["without=[fusion]"]).dump()  # fusion's tasks have no golden solutions
    grpo = {
        "max_steps": steps,
        "per_device_train_batch_size": GROUP,
        "gradient_accumulation_steps": prompts,
        "num_generations": GROUP,
        "max_completion_length": tokens,
        "learning_rate": 1e-6,
        "save_strategy": "no",
        "model_init_kwargs": {"dtype": "bfloat16"},
    }
    data["train"] = {**data["train"], "model": str(folder), "grpo": grpo}
    data["tasks"] = {**data["tasks"], "suite": "builtin", "size": size}
    return Preset.from_data(data)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokens", type=int, default=640, help="length of each completion")
    parser.add_argument("--steps", type=int, default=3, help="steps; the first one, with its warm-up, is left out")
    parser.add_argument("--prompts", type=int, default=8, help="of a step, with eight completions each")
    parser.add_argument("--layers", type=int, default=28)
    parser.add_argument("--hidden", type=int, default=1024)
    parser.add_argument("--vocabulary", type=int, default=QWEN3_VOCABULARY)
    parser.add_argument("--out", type=Path, help="folder to keep the run in, figures of each step as they come")
    parser.add_argument("--size", default="full", help="of the suite's tasks: full or small")
    parser.add_argument("--set", action="append", default=[], help="as of `tritonrl train`")
    parser.add_argument("--judge-only", action="store_true", help="no model: batches of as many tasks, judged alone")
    parser.add_argument("--timeline", type=Path, help="file to add a timeline of each batch's verification to")
    parser.add_argument("--save", action="store_true", help="keep the table for docs/benchmarks.md")
    options = parser.parse_args()
    if options.judge_only:
        judge_only(options)
        return
    with tempfile.TemporaryDirectory() as scratch:
        run = options.out or Path(scratch) / "run"
        statuses = trained(options, Path(scratch) / "model", run)
        rows, scores = list(read_metrics(run)), list(read_scores(run))
    for row in rows:
        sys.stderr.write(json.dumps({key: row.get(key) for key in ("step", *SHOWN)}) + "\n")
    last = [score for score in scores if score.step == scores[-1].step]
    sys.stdout.write(json.dumps(split(rows[1:] or rows) | {"statuses": statuses, "parts": parts(last)}) + "\n")
    if options.save:
        save(table(rows, last, options))


def trained(options: argparse.Namespace, model: Path, run: Path) -> dict[str, int]:
    """Write the random model and train it; how many candidates got which status."""
    from tritonrl_core.train.run import train
    from tritonrl_core.verifier import Verifier

    scorers: list[StandIn] = []

    def open_scorer(preset: Preset, session: Any, known: Sequence[Score]) -> StandIn:
        scorers.append(StandIn(Verifier(preset, session, known=known), options.timeline))
        return scorers[0]

    write_model(model, options.layers, options.hidden, options.vocabulary)
    train(chosen_preset(options, model), out=run, open_scorer=open_scorer)
    return dict(scorers[0].statuses)


def chosen_preset(options: argparse.Namespace, model: Path) -> Preset:
    """The preset of this benchmark, with what `--set` changes."""
    preset = preset_for(model, options.tokens, options.steps, options.prompts, options.size)
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "step_split.yaml"
        path.write_text(preset.to_yaml(), encoding="utf-8")
        return load_preset(path, options.set)


def judge_only(options: argparse.Namespace) -> None:
    """Judge as many batches as there are steps, each of tasks that were not judged before; then the same tasks again
    with kernels of other names. One line of JSON each: the difference is what new tasks cost.
    """
    from verify_throughput import renamed

    from tritonrl_core.tasks.suite import builtin_tasks
    from tritonrl_core.verifier import Verifier

    codes = {golden.task_id: variants(golden.code) for golden in golden_solutions()}
    tasks = [task for task in builtin_tasks("train", options.size) if task.id in codes]
    Random(0).shuffle(tasks)
    with Verifier(chosen_preset(options, Path("nano"))) as verifier:
        verifier.bench.describe()  # waits for its workers, which in training start while the model is loaded
        for number in range(2 * options.steps):
            again, batch = divmod(number, options.steps)
            some = tasks[batch * options.prompts : (batch + 1) * options.prompts]
            jobs = [(task, Candidate.from_code(renamed(code, number))) for task in some for code in codes[task.id]]
            began = time.perf_counter()
            with told_in(options.timeline):
                scores = verifier.verify_batch(jobs)
            told = {"tasks": "again" if again else "new", "seconds": round(time.perf_counter() - began, 2)}
            statuses = Counter(score.verdict.status.value for score in scores)
            sys.stdout.write(json.dumps({**told, "statuses": statuses, "parts": parts(scores)}) + "\n")
            sys.stdout.flush()


SHOWN = ("step_time", "time/generation_s", "time/verification_s", "completions/mean_length", "cached_rate")


def split(rows: Sequence[dict[str, Any]]) -> dict[str, float]:
    """Mean seconds a step, and the share of verification. TRL's `step_time` is of the whole optimiser step."""
    whole, generation, verification = (fmean(row[name] for row in rows) for name in SHOWN[:3])
    return {
        "steps": len(rows),
        "step_s": round(whole, 2),
        "generation_s": round(generation, 2),
        "verification_s": round(verification, 2),
        "optimisation_s": round(whole - generation - verification, 2),
        "verification_share": round(verification / whole, 3),
    }


def parts(scores: Sequence[Score]) -> dict[str, float]:
    """Seconds that the verifier's threads spent on a batch, by stage, waiting included; of timings also what the
    replay workers worked, and for how long the GPU was one's alone.
    """
    seconds: Counter[str] = Counter()
    for score in scores:
        for stage in ("pre_filter", "check_correctness", "measure_speed"):
            seconds[stage] += score.verdict.stage_seconds.get(stage, 0.0)
        if score.timing is not None:
            seconds["timing in a worker"] += score.timing.facts.get("worker_s", 0.0)
            seconds["timing alone on the GPU"] += score.timing.facts.get("seconds", 0.0)
        seconds["recording"] += score.verdict.facts.get("prepare_seconds", {}).get("record", 0.0)
        seconds["compiling"] += score.verdict.facts.get("prepare_seconds", {}).get("compile", 0.0)
        seconds["one case's job in a worker"] += score.verdict.facts.get("stage_seconds", {}).get("worker", 0.0)
    return {name: round(value, 2) for name, value in seconds.items()}


def table(rows: Sequence[dict[str, Any]], last: Sequence[Score], options: argparse.Namespace) -> Table:
    """A row a step, and below it what the last step's verification was made of."""
    columns = ["step", "seconds", "generation", "verification", "the rest (optimisation)", "share of verification"]
    shown = []
    for number, row in enumerate(rows):
        found = split([row])
        shares = f"{100 * found['verification_share']:.0f} %"
        seconds = [found[f"{name}_s"] for name in ("step", "generation", "verification", "optimisation")]
        shown.append([f"{number + 1} (with its warm-up)" if number == 0 else str(number + 1), *seconds, shares])
    spent = ", ".join(f"{name.replace('_', ' ')} {value:.1f}" for name, value in parts(last).items())
    command = f"python benchmarks/step_split.py --tokens {options.tokens} --steps {options.steps}"
    return Table("step-split", columns, shown, command, [
        f"{len(last)} completions of {options.tokens} tokens, by `transformers` without vLLM; {options.prompts} new "
        f"tasks of {options.size} size a step, each with its references and baselines",
        f"Seconds of the verifier's threads in the last step, side by side and with waiting: {spent}",
    ])  # fmt: skip


if __name__ == "__main__":
    main()

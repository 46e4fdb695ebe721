"""A training run whose candidates differ by noise alone: does it move the policy?

    python benchmarks/timing_training.py --out DIR [--steps 3] [--device cuda]

A small policy is first taught by heart one right kernel (`same`), or eight sources of equal speed (`different`), for
one task at four sizes. Then `train` runs GRPO on it as it would on any policy: it samples completions, the verifier
judges and times them, credit is assigned, the optimiser steps. De-duplication is off: each completion's kernel gets a
name that no other has, so that each is recorded, compiled, checked and timed by itself.

A group teaches nothing where every completion's advantages are zero. If all of a run's groups are so, the optimiser
had nothing to do and the weights are, bit for bit, those that the run began with: both are shown, for the noise-aware
rules (`calibrated_timing_only`) and for the published ones.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

from tables import Table, save
from timing_noise import COUNTS, DIFFERENT, PLAIN, REFERENCE, solution

from tritonrl_core.models import resolve_model
from tritonrl_core.preset import Preset, load_preset
from tritonrl_core.reward import CreditRules, group_credit
from tritonrl_core.runs import read_scores
from tritonrl_core.session import Session
from tritonrl_core.tasks.loaders import load_tasks
from tritonrl_core.tasks.prompts import completion_text
from tritonrl_core.train.model import load_policy
from tritonrl_core.train.run import train
from tritonrl_core.types import Candidate, Score, Task
from tritonrl_core.verifier import Verifier

GROUP = 8
PUBLISHED = ("reward.speed.bound=point", "reward.speed_from=0", "reward.merge_noise=false")
SOURCES = {"same": (PLAIN,), "different": DIFFERENT}
NAME = "scale_add_relu"
PLAN = "one program for each 1024 elements"


class Renamed:
    """A verifier that has never seen a candidate before: each one's kernel gets a name of its own."""

    def __init__(self, preset: Preset, session: Session, known: Sequence[Score]) -> None:
        self._verifier, self._number = Verifier(preset, session, known=known), count()

    def verify_batch(
        self, jobs: Sequence[tuple[Task, Candidate]], on_score: Callable[[int, Score], None] | None = None
    ) -> list[Score]:
        fresh = [(task, replace(candidate, code=candidate.code.replace(NAME, f"{NAME}_{next(self._number)}")))
                 for task, candidate in jobs]  # fmt: skip
        return self._verifier.verify_batch(fresh, on_score)

    def close(self) -> None:
        self._verifier.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=3, help="optimiser steps of 64 completions, eight groups")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--kinds", nargs="*", choices=tuple(SOURCES), default=tuple(SOURCES))
    parser.add_argument("--lessons", type=int, default=400, help="steps in which the policy learns by heart")
    parser.add_argument("--most", type=int, default=COUNTS[-1], help="leave out sizes above")
    chosen = parser.parse_args()
    folder = chosen.out / "tasks" / "level1"
    folder.mkdir(parents=True, exist_ok=True)
    for size in (size for size in COUNTS if size <= chosen.most):
        (folder / f"noise_{size}.py").write_text(REFERENCE.format(count=size))
    tasks = load_tasks(folder)
    policies = {kind: by_heart(tasks, SOURCES[kind], chosen.out / f"policy-{kind}", chosen.lessons)
                for kind in chosen.kinds}  # fmt: skip
    for rules, changes in (("noise-aware", ()), ("published", PUBLISHED)):
        steps = chosen.steps if rules == "noise-aware" else 1
        for kind, policy in policies.items():
            began = time.perf_counter()
            found = one_run(preset(chosen, steps, changes), policy, chosen.out / f"run-{kind}-{rules}")
            line = {"candidates": kind, "rules": rules, **found, "seconds": round(time.perf_counter() - began, 1)}
            print(json.dumps(line), flush=True)
            with (chosen.out / "training.jsonl").open("a") as file:
                file.write(json.dumps(line) + "\n")
    save(table([json.loads(text) for text in (chosen.out / "training.jsonl").read_text().splitlines()]))


def table(lines: Sequence[Mapping[str, Any]]) -> Table:
    """A row a run."""
    rows = [
        [f"{line['candidates']}, {line['rules']}", f"{line['steps']}, {line['groups']}",
         f"{line['timed']} of {line['completions']}", line["judged only once"],
         f"{line['groups with zero plan advantage']} of {line['groups']}",
         "bit for bit those before it" if line["weights as before"] else "moved"]
        for line in lines
    ]  # fmt: skip
    columns = ["candidates, rules", "steps, groups", "completions right and timed", "judged only once",
               "groups without plan advantage", "weights after the run"]  # fmt: skip
    return Table("timing-training", columns, rows, "python benchmarks/timing_training.py --out DIR")


def preset(chosen: argparse.Namespace, steps: int, changes: Sequence[str]) -> Preset:
    """`calibrated_timing_only` on the tasks of this benchmark."""
    return load_preset("calibrated_timing_only", [
        f"verifier.device={chosen.device}", "tasks.suite=none", f"tasks.paths=[{chosen.out / 'tasks'}]",
        "levels={1: 1.0}", f"train.grpo.max_steps={steps}", "train.grpo.max_completion_length=512",
        "train.grpo.temperature=0.5", "train.grpo.warmup_steps=0", *changes,
    ])  # fmt: skip


def by_heart(tasks: Sequence[Task], bodies: Sequence[str], folder: Path, lessons: int) -> Path:
    """The bundled policy after learning to answer every task with one of these kernels, each as often."""
    import torch

    policy = load_policy(resolve_model("nano"))
    policy.to_device()
    texts = [(str(policy.prompt(task)), completion_text(PLAN, solution(body, NAME)))
             for task in tasks for body in bodies]  # fmt: skip
    tokenizer = policy.tokenizer
    rows = [(tokenizer(prompt)["input_ids"], tokenizer(text)["input_ids"] + [tokenizer.eos_token_id])
            for prompt, text in texts]  # fmt: skip
    length = max(len(prompt) + len(text) for prompt, text in rows)
    ids = torch.full((len(rows), length), tokenizer.pad_token_id)
    labels = torch.full((len(rows), length), -100)
    for row, (prompt, text) in enumerate(rows):
        ids[row, : len(prompt) + len(text)] = torch.tensor(prompt + text)
        labels[row, len(prompt) : len(prompt) + len(text)] = torch.tensor(text)
    ids, labels = ids.to(policy.model.device), labels.to(policy.model.device)
    optimizer = torch.optim.AdamW(policy.model.parameters(), lr=2e-3, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, lessons)
    loss = torch.zeros(())
    for _ in range(lessons):
        loss = policy.model(input_ids=ids, attention_mask=ids != tokenizer.pad_token_id, labels=labels).loss
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(policy.model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
    print(f"{folder.name}: {len(rows)} lessons of up to {length} tokens, last loss {loss.item():.4f}", flush=True)
    policy.model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def one_run(preset: Preset, policy: Path, out: Path) -> dict[str, Any]:
    """Train, then read what the run's folder says."""
    summary = train(preset, model=str(policy), out=out, stage="rl", open_scorer=Renamed)
    groups: dict[str, list[Score]] = defaultdict(list)
    for score in read_scores(summary.folder):
        groups[score.group].append(score)
    reward = preset.reward
    rules = CreditRules(speed_from=reward.speed_from, merge_noise=reward.merge_noise)
    credits = {name: group_credit(group, reward.alpha, rules) for name, group in groups.items()}
    scores = [score for group in groups.values() for score in group]
    heard = [
        [(round(score.timing.speedup, 4), round(score.timing.facts["candidate_half_width"], 4))
         for score in groups[name] if score.timing is not None]
        for name, group in credits.items() if any(credit.plan for credit in group)
    ]  # fmt: skip
    return {
        "steps": summary.rl_steps, "groups": len(groups), "completions": len(scores),
        "correct": sum(score.verdict.correct is True for score in scores),
        "timed": sum(score.timing is not None and not score.timing.estimated for score in scores),
        "judged only once": sum(score.cached for score in scores),
        "groups with zero plan advantage": sum(not any(c.plan for c in group) for group in credits.values()),
        "the others": heard[:8],
        "weights as before": same_weights(policy, summary.model),
        "statuses": sorted({f"{score.verdict.status}: {score.verdict.reason[:80]}" for score in scores}),
    }  # fmt: skip


def same_weights(one: Path, other: Path) -> bool:
    """Whether two folders hold the same weights, bit for bit."""
    from safetensors.torch import load_file

    first, second = (load_file(folder / "model.safetensors") for folder in (one, other))
    return first.keys() == second.keys() and all(bool((first[name] == second[name]).all()) for name in first)


if __name__ == "__main__":
    main()

"""Groups whose candidates differ by noise alone: how many of them teach the plan something all the same?

`python benchmarks/timing_noise.py --out DIR [--groups 10]`, on a GPU. Each group is eight right solutions of one task,
judged by the verifier under `calibrated_timing_only`: the same kernel under eight names, or eight different sources of
equal speed. Then `group_credit` by the preset's rules, and by the published ones for comparison. A third kind of group,
in which half of the candidates read their input three times, shows that real differences still teach. What was
measured is written to `timing_groups.json`, from which tests/reward takes its samples.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from tables import Table, save

from tritonrl_core.preset import load_preset
from tritonrl_core.reward import CreditRules, group_credit, reward_parts
from tritonrl_core.types import Candidate, Score, Task
from tritonrl_core.verifier import Verifier

REFERENCE = """
import torch
import torch.nn as nn

N = {count}

class Model(nn.Module):
    def forward(self, x, y):
        return torch.relu(x * 2.0 + y)

def get_inputs():
    return [torch.randn(N), torch.randn(N)]

def get_init_inputs():
    return []
"""
KERNEL = """
import torch
import torch.nn as nn
import triton
import triton.language as tl

@triton.jit
def {name}(x_ptr, y_ptr, o_ptr, n, BLOCK: tl.constexpr):
{body}

class ModelNew(nn.Module):
    def forward(self, x, y):
        out = torch.empty_like(x)
        n = x.numel()
        {name}[(triton.cdiv(n, 1024),)](x, y, out, n, BLOCK=1024)
        return out
"""
AT = "i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)"
LOADS = "x = tl.load(x_ptr + i, mask=i < n)\ny = tl.load(y_ptr + i, mask=i < n)"
PLAIN = f"{AT}\n{LOADS}\ntl.store(o_ptr + i, tl.maximum(x * 2.0 + y, 0.0), mask=i < n)"
DIFFERENT = (
    PLAIN,
    f"{AT}\n{LOADS}\nz = x + x + y\ntl.store(o_ptr + i, tl.where(z > 0.0, z, 0.0), mask=i < n)",
    f"{AT}\ninside = i < n\ny = tl.load(y_ptr + i, mask=inside)\nx = tl.load(x_ptr + i, mask=inside)\n"
    "tl.store(o_ptr + i, tl.maximum(y + 2.0 * x, 0.0), mask=inside)",
    f"{AT}\n{LOADS}\nz = tl.fma(x, 2.0, y)\ntl.store(o_ptr + i, tl.maximum(z, 0.0), mask=i < n)",
    "first = tl.program_id(0) * BLOCK\nlane = tl.arange(0, BLOCK)\ninside = lane < n - first\n"
    "x = tl.load(x_ptr + first + lane, mask=inside, other=0.0)\n"
    "y = tl.load(y_ptr + first + lane, mask=inside, other=0.0)\n"
    "tl.store(o_ptr + first + lane, tl.maximum(x * 2.0 + y, 0.0), mask=inside)",
    f"{AT}\n{LOADS}\nz = (x + 0.5 * y) * 2.0\ntl.store(o_ptr + i, (z + tl.abs(z)) * 0.5, mask=i < n)",
    f"{AT}\n{LOADS}\nz = y - x * -2.0\ntl.store(o_ptr + i, z * (z > 0.0).to(tl.float32), mask=i < n)",
    f"{AT}\n{LOADS}\nfor _ in range(2):\n    y = y + x\ntl.store(o_ptr + i, tl.maximum(y, 0.0), mask=i < n)",
)
"""Sources that compute the same and are bound by the same memory traffic."""
SLOWER = PLAIN.replace(
    "tl.store",
    "for k in range(2):\n    x = x + 0.0 * tl.load(x_ptr + (i + (k + 1) * 79190) % n, mask=i < n)\ntl.store",
)
COUNTS = (1 << 20, 1 << 22, 3 << 22, 1 << 25)
"""Sizes of the task, from some microseconds to a hundred."""

Key = tuple[str, int]


def solution(body: str, name: str) -> str:
    """The source of a candidate."""
    return KERNEL.format(name=name, body="\n".join("    " + line for line in body.splitlines()))


def same(group: int) -> list[str]:
    """One kernel under eight names."""
    return [solution(PLAIN, f"same_{group}_{number}") for number in range(8)]


def different(group: int) -> list[str]:
    """Eight sources of equal speed."""
    return [solution(body, f"other_{group}_{number}") for number, body in enumerate(DIFFERENT)]


def unequal(group: int) -> list[str]:
    """Four fast and four slow ones."""
    return [solution(SLOWER if number % 2 else PLAIN, f"mixed_{group}_{number}") for number in range(8)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--groups", type=int, default=10, help="groups of each kind")
    parser.add_argument("--seconds", type=float, default=200.0, help="start no further group after so long")
    parser.add_argument("--set", action="append", default=[], metavar="OPTION=VALUE", help="options of the plugin")
    chosen = parser.parse_args()
    chosen.out.mkdir(parents=True, exist_ok=True)
    options = {name: yaml.safe_load(value) for name, _, value in (part.partition("=") for part in chosen.set)}
    preset = load_preset("calibrated_timing_only").with_plugins(timing=options)
    began = time.perf_counter()
    found: dict[str, list[list[dict[str, Any]]]] = {}
    kinds: dict[str, Callable[[int], list[str]]] = {"same": same, "different": different, "unequal": unequal}
    with Verifier(preset) as verifier:
        for first in range(0, chosen.groups, len(COUNTS)):
            if time.perf_counter() - began > chosen.seconds:
                break
            codes = {(kind, number): make(number)
                     for number in range(first, min(first + len(COUNTS), chosen.groups))
                     for kind, make in kinds.items() if kind != "unequal" or not first}  # fmt: skip
            for (kind, number), group in judged(verifier, codes).items():
                found.setdefault(kind, []).append([recorded(score) for score in group])
                print(kind, COUNTS[number % len(COUNTS)], told(group), flush=True)
            (chosen.out / "timing_groups.json").write_text(json.dumps(found))
    made = table(found, preset)
    save(made)
    print(made.markdown)


def judged(verifier: Verifier, codes: Mapping[Key, Sequence[str]]) -> dict[Key, list[Score]]:
    """Scores of groups, by kind and number, all judged at once in an order of chance."""
    tasks = {number: task(COUNTS[number % len(COUNTS)]) for _, number in codes}
    order = [(key, code) for key, group in codes.items() for code in group]
    random.Random(len(order)).shuffle(order)
    scores = verifier.verify_batch([(tasks[key[1]], Candidate.from_code(code)) for key, code in order])
    by_code = {code: score for (_, code), score in zip(order, scores, strict=True)}
    return {key: [by_code[code] for code in group] for key, group in codes.items()}


def task(count: int) -> Task:
    """The task at a size."""
    return Task(f"noise/{count}", 2, REFERENCE.format(count=count))


def told(group: Sequence[Score]) -> str:
    """One group in one line."""
    bad = [f"{score.verdict.status}: {score.verdict.reason}" for score in group if not score.verdict.correct]
    speeds = [(round(s.timing.speedup, 4), round((s.timing.speedup_high / s.timing.speedup_low - 1) / 2, 4))
              for s in group if s.timing]  # fmt: skip
    times = {round(sum(s.timing.candidate_us) / len(s.timing.candidate_us), 2) for s in group if s.timing}
    notes = {note for s in group if s.timing for note in s.timing.notes}
    line = {"speedup ± half": speeds, "µs": sorted(times), "bad": bad, "notes": sorted(notes)}
    return json.dumps(line, ensure_ascii=False)


def recorded(score: Score) -> dict[str, Any]:
    """What a test needs of a score: raw samples and what was made of them."""
    timing = score.timing
    if timing is None:
        return {"status": score.verdict.status, "reason": score.verdict.reason}
    return {"status": score.verdict.status, "candidate_us": timing.candidate_us,
            "eager_us": timing.baseline_us["eager"], "speedup": timing.speedup,
            "low": timing.speedup_low, "high": timing.speedup_high, "facts": dict(timing.facts)}  # fmt: skip


WORDS = {"same": "one kernel under eight names, nothing judged only once", "different": "eight sources of equal speed",
         "unequal": "four sources that are slower than the other four"}  # fmt: skip


def table(found: Mapping[str, Sequence[Sequence[dict[str, Any]]]], preset: Any) -> Table:
    """In how many groups no plan gets any advantage, by the published rules and by the preset's."""
    rows = [[WORDS[kind], *(f"{count} of {len(groups)}" for count in silent(groups, preset))]
            for kind, groups in found.items()]  # fmt: skip
    sizes = ", ".join(f"{count:,}" for count in COUNTS)
    return Table("timing-noise", ["group", "published rules", "noise-aware"], rows,
                 "python benchmarks/timing_noise.py --out DIR", [f"Tasks of {sizes} elements"])  # fmt: skip


def silent(groups: Sequence[Sequence[dict[str, Any]]], preset: Any) -> tuple[int, int]:
    """How many of these groups give no plan any advantage: by the published rules, and by the preset's."""
    rules = CreditRules(speed_from=preset.reward.speed_from, merge_noise=preset.reward.merge_noise)
    scores = [[scored(row, preset) for row in group] for group in groups]
    return (sum(not any(credit.plan for credit in group_credit(group, 0.1)) for group in scores),
            sum(not any(credit.plan for credit in group_credit(group, 0.1, rules)) for group in scores))  # fmt: skip


def scored(row: dict[str, Any], preset: Any) -> Score:
    """A score from its record."""
    from tritonrl_core.types import Stage, Status, Timing, Verdict

    verdict = Verdict(Status(row["status"]), Stage.FULL)
    timing = None
    if "speedup" in row:
        interval = row["speedup"], row["low"], row["high"]
        timing = Timing(tuple(row["candidate_us"]), {}, *interval, "", "adaptive", "events")
    return Score("t", 2, "k", Candidate.from_code(""), verdict, timing, reward_parts(verdict, timing, preset.reward))


if __name__ == "__main__":
    main()

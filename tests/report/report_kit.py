"""Runs for the tests of the report: a folder as training writes it, of scores that were made up here and nowhere else.

They are as many, as large and as different from each other as a test needs; the figures in them mean nothing.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from random import Random

from tritonrl_core.preset import load_preset
from tritonrl_core.runs import Run
from tritonrl_core.types import (
    Candidate,
    RewardParts,
    Score,
    Stage,
    Status,
    Timing,
    Verdict,
    WorstElement,
    content_key,
)

FAMILIES = ("elementwise", "softmax", "layernorm", "matmul", "sum")
TEXT = """
    fuse both operators keep values in registers one program a row block of columns mask the tail load once store
    once reduce in float32 accumulate then cast avoid a second pass over memory use two stages four warps tile the
    inner dimension swizzle programs so that neighbours share a cache line
"""
WORDS = TEXT.split()
OPERATORS = ("x * 2.0", "tl.maximum(x, 0.0)", "x / (1.0 + tl.exp(-x))", "tl.exp(x - tl.max(x, 0))", "x * x + bias")
LOCK = {"plugins": [{"name": "base", "distribution": "tritonrl-core", "version": "0", "options": {}}]}


def code(rng: Random) -> str:
    """A kernel of some 1,300 characters, alike and never the same."""
    name = rng.choice(WORDS) + "_kernel"
    lines = [f"    # {' '.join(rng.choices(WORDS, k=9))}" for _ in range(4)]
    steps = [f"    x = {rng.choice(OPERATORS)}  # {rng.choice(WORDS)}" for _ in range(rng.randint(2, 5))]
    return "\n".join(
        [
            "import torch", "import torch.nn as nn", "import triton", "import triton.language as tl", "", "@triton.jit",
            f"def {name}(x_ptr, y_ptr, n, scale, BLOCK: tl.constexpr):", *lines[:2],
            "    offsets = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)", "    mask = offsets < n",
            "    x = tl.load(x_ptr + offsets, mask=mask, other=0.0).to(tl.float32)", *steps, *lines[2:],
            "    tl.store(y_ptr + offsets, x, mask=mask)", "",
            "class ModelNew(nn.Module):", "    def forward(self, x):",
            "        x = x.contiguous()", "        y = torch.empty_like(x)",
            f"        {name}[(triton.cdiv(x.numel(), {2 ** rng.randint(5, 11)}),)](x, y, x.numel(), "
            f"{rng.random():.6f}, BLOCK={2 ** rng.randint(5, 11)}, num_warps={2 ** rng.randint(0, 3)})",
            "        return y", "",
        ]
    )  # fmt: skip


def score(rng: Random, place: int, share: float) -> Score:
    """One score at `share` of the run's way (later ones are right more often)."""
    task = rng.randrange(60)
    plan, source = " ".join(rng.choices(WORDS, k=45)), code(rng)
    head = f"<plan>\n{plan}\n</plan>\n```python\n"
    text = f"{head}{source}```"
    candidate = Candidate(text, source, plan, (7, 7 + len(plan)), (len(head), len(head) + len(source)))
    status = Status.PASSED if rng.random() < 0.2 + 0.6 * share else rng.choice(
        [Status.WRONG, Status.WRONG, Status.BUILD_ERROR, Status.RUNTIME_ERROR, Status.REJECTED, Status.CHEATED,
         Status.TIMEOUT, Status.UNSUPPORTED, Status.INFRA])  # fmt: skip
    score = Score(
        task_id=f"{FAMILIES[task % 5]}_{task:02d}",
        level=1 + task % 2,
        task_key=content_key(task),
        candidate=candidate,
        verdict=verdict(rng, status),
        timing=timing(rng) if status is Status.PASSED else None,
        reward=RewardParts(None, None) if status is Status.INFRA else RewardParts(float(status is Status.PASSED), 0.0),
        family=FAMILIES[task % 5],
        seconds=rng.random(),
    )
    return replace(score, group=f"0-{place // 8}")


def verdict(rng: Random, status: Status) -> Verdict:
    row, column = rng.randrange(64), rng.randrange(512)
    got, expected = rng.gauss(0, 1), rng.gauss(0, 1)
    wrong = f"input case C=512 R=64 strided: output[{row}, {column}] is {got:.6g}, expected {expected:.6g} ± 1.3e-05"
    stage, reason = {
        Status.PASSED: (Stage.FULL, ""),
        Status.WRONG: (Stage.FULL, wrong),
        Status.BUILD_ERROR: (Stage.AST, f"line {rng.randint(5, 9)}: there is no triton.language.{rng.choice(WORDS)}"),
        Status.RUNTIME_ERROR: (Stage.FULL, f"kernel k reads {rng.randint(1, 9) * 4} bytes past the end of x_ptr"),
        Status.REJECTED: (Stage.RECORD, "no Triton kernel was launched"),
        Status.CHEATED: (Stage.FULL, "the output is right with every launch withheld"),
        Status.TIMEOUT: (Stage.TINY, "no answer within 30 s"),
        Status.UNSUPPORTED: (Stage.RECORD, f"line {rng.randint(9, 20)}: .item() decides what is launched"),
        Status.INFRA: (Stage.FULL, "the worker died"),
    }[status]
    compared = status in (Status.PASSED, Status.WRONG)
    return Verdict(
        status=status,
        stage=stage,
        reason=reason,
        valid=None if status in (Status.INFRA, Status.UNSUPPORTED) else status not in (Status.REJECTED, Status.CHEATED),
        compiled=compared,
        worst_error=abs(got - expected) if compared else None,
        worst=WorstElement(0, (row, column), got, expected, 1.3e-05) if compared else None,
        cases_passed=5 if status is Status.PASSED else 0,
        cases_total=5 if compared else 0,
        source=rng.choice(["multi_input", "funnel"]),
        sandbox="A: landlock 7, seccomp, namespaces user+pid+net+ipc+mount+uts, own uid",
        unchecked=("races between programs", "the device's own precision (TF32, fast math)") if compared else (),
        facts={"launch_count": 1, "unique_bytes": rng.randrange(10**6), "registers": rng.randrange(8, 128),
               "launches": [{"kernel": "k", "grid": [rng.randrange(1, 99), 1, 1], "warps": 4}]} if compared else {},
        stage_seconds={"pre_filter": rng.random(), "check_correctness": rng.random()},
    )  # fmt: skip


def timing(rng: Random) -> Timing:
    speedup = rng.lognormvariate(0.2, 0.4)
    ours = tuple(round(rng.gauss(30, 1), 3) for _ in range(10))
    theirs = tuple(round(us * speedup, 3) for us in ours)
    return Timing(ours, {"eager": theirs}, speedup, 0.97 * speedup, 1.03 * speedup, "a GPU", "graph", "events")


def make_run(folder: Path, count: int, steps: int = 40, seed: int = 0) -> Path:
    """A run's folder with `count` made-up scores over `steps` steps, and what training logs beside them."""
    rng, run = Random(seed), Run.create(folder, load_preset("baseline").dump(), LOCK)
    for when, share in (("before", 0.2), ("after", 0.8)):
        held = {"correct": share, "correct_low": share - 0.1, "correct_high": share + 0.1, "samples": 64, "seconds": 5}
        figures = {f"{kind}/{name}": value for kind in ("sampled", "greedy") for name, value in held.items()}
        run.append_metrics("eval", 0, {"when": when, **figures})
    for place in range(count):
        step = place * steps // count
        run.append_score(score(rng, place, step / steps).at(step=step, group=f"{step}-{place % 8}"))
    for step in range(1, steps + 1):
        run.append_metrics("rl", step, {
            "loss": rng.random(), "reward": step / steps, "step_time": 20 + rng.random(),
            "time/generation_s": 3 + rng.random(), "time/verification_s": 12 + rng.random(),
        })  # fmt: skip
    run.close()
    return folder

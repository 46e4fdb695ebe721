"""What there is to measure: every table of docs/benchmarks.md and the command that makes it. Data; `bench_gpu` runs it.

A piece takes less than ten minutes, keeps what it has as it goes, and goes on from there when it is called again. One
that needs no GPU is there too, so that the list is all that the page shows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

MOST_MINUTES = 10.0

KEPT = "build/benchmarks"
"""Where pieces that go on keep what they have."""


@dataclass(frozen=True)
class Piece:
    """One command; `tables` are the results that it leaves in build/benchmarks. `minutes` is more than it takes.

    Numbers in braces are how much it does, and shrink with `--share`. `gpus` is how many it needs and `cores` how many
    it can use; `alone` says that nobody else may use its GPU and cores meanwhile, because it measures time. It is begun
    when the pieces named in `after` have ended well.
    """

    name: str
    command: str
    tables: tuple[str, ...] = ()
    minutes: float = 3.0
    gpus: int = 1
    cores: int = 16
    alone: bool = False
    after: tuple[str, ...] = ()


def verification() -> Sequence[Piece]:
    """How many candidates a second, and where the time goes."""
    parts, funnel = "benchmarks/throughput_parts.py", "benchmarks/funnel_gain.py"
    no_gpu = f"{funnel} --device cpu --mix nano --copies 1"
    return (
        Piece("verification: no GPU", "benchmarks/verify_cpu.py {133} 2 5", ("verify-cpu",), 4, gpus=0, cores=2,
              alone=True),
        Piece("profile: no GPU",
              "benchmarks/cpu_profile.py --what verdict --count {24} --workers 2 --floor --save cpu-profile",
              ("cpu-profile",), 2, gpus=0, cores=2, alone=True),
        Piece("throughput",
              "benchmarks/verify_throughput.py --device cuda --apart {300} --count {1000} --save throughput",
              ("throughput-apart", "throughput"), 6, alone=True),
        Piece("throughput by family", f"{parts} families --count {{32}}", ("throughput-families",), 4, alone=True),
        Piece("throughput by mix", f"{parts} mixes --tasks {{20}}", ("throughput-mixes",), 4, alone=True),
        Piece("throughput by cores", f"{parts} cores --seconds {{20}}", ("throughput-cores",), 5, alone=True),
        Piece("milliseconds", "benchmarks/gpu_milliseconds.py --seconds {240}", ("gpu-milliseconds",), 6, alone=True),
        Piece("first verdict", "benchmarks/first_verdict.py --device cuda", ("first-verdict",), 2, cores=8, alone=True),
        Piece("five inputs", "benchmarks/multi_input_cost.py --device cuda --kernels {40}", ("multi-input-cost-cuda",),
              4, alone=True),
        Piece("five inputs: no GPU", "benchmarks/multi_input_cost.py --device cpu --kernels {24} --rounds 2",
              ("multi-input-cost-cpu",), 3, gpus=0, cores=2, alone=True),
        Piece("funnel", f"{funnel} --device cuda --mix nano --copies {{4}} --rounds 2 --right-rounds 10",
              ("funnel-gain-cuda-nano", "funnel-gain-cuda-nano-kinds"), 4, alone=True),
        Piece("funnel: young", f"{funnel} --device cuda --mix young --tasks {{20}} --rounds 1",
              ("funnel-gain-cuda-young", "funnel-gain-cuda-young-kinds"), 3, alone=True),
        Piece("funnel: every input",
              f"{funnel} --device cuda --mix nano --copies {{2}} --rounds 1 --against every_input",
              ("funnel-gain-cuda-nano-every-input",), 3, alone=True),
        Piece("funnel: no GPU", f"{no_gpu} --rounds {{2}} --right-rounds 10 --right-copies 1",
              ("funnel-gain-cpu-nano", "funnel-gain-cpu-nano-kinds"), 5, gpus=0, cores=2, alone=True),
        Piece("funnel: no GPU: five inputs", f"{no_gpu} --rounds 1 --with multi_input",
              ("funnel-gain-cpu-nano-multi_input",), 4, gpus=0, cores=2, alone=True),
        Piece("funnel: no GPU: every input", f"{no_gpu} --rounds 1 --against every_input",
              ("funnel-gain-cpu-nano-every-input",), 4, gpus=0, cores=2, alone=True),
        Piece("full size", f"benchmarks/full_size.py --size full --seconds {{480}} --rows {KEPT}/full-size-full.jsonl",
              ("full-size-full",), 9.5, cores=4, alone=True),
        Piece("large size",
              f"benchmarks/full_size.py --size large --seconds {{480}} --rows {KEPT}/full-size-large.jsonl",
              ("full-size-large",), 9.5, cores=4, alone=True),
        Piece("generated tasks", "benchmarks/fusion_tasks.py --count {1000}", ("generated-tasks",), 4, gpus=0, cores=1),
        Piece("fleet", "benchmarks/fleet.py --seconds {25}", ("fleet",), 6, gpus=2, cores=64, alone=True),
    )  # fmt: skip


def clock() -> Sequence[Piece]:
    """How good the measurements are, and the estimates in their place."""
    quality, agreement = "benchmarks/timing_quality.py", "benchmarks/estimate_agreement.py"
    timing, noise, trained = (f"--out {KEPT}/{name}" for name in ("timing", "noise", "timing-training"))
    return (
        Piece("timing quality: measured", f"{quality} run {timing} --seconds {{330}}", (), 8, cores=4, alone=True),
        Piece("timing quality: table", f"{quality} table {timing}", ("timing-quality",), 1, gpus=0, cores=1,
              after=("timing quality: measured",)),
        Piece("timing load", f"{quality} load {timing}", ("timing-load",), 5, cores=4, alone=True),
        Piece("timing noise", f"benchmarks/timing_noise.py {noise} --seconds {{200}}", ("timing-noise",), 5,
              alone=True),
        Piece("timing in training", f"benchmarks/timing_training.py {trained}", ("timing-training",), 6, alone=True),
        Piece("agreement: measured", f"{agreement} measure --seconds {{500}}", (), 9, cores=8, alone=True),
        Piece("agreement: estimated", f"{agreement} estimate --seconds {{500}}", (), 9, gpus=0),
        Piece("agreement: table", f"{agreement} table", ("estimate-agreement",), 1, gpus=0, cores=1,
              after=("agreement: measured", "agreement: estimated")),
    )  # fmt: skip


INTEGRITY = f"benchmarks/integrity.py run --device cuda --rows {KEPT}/integrity-cuda.jsonl"
BESIDE = ",".join(f"{name}_only" for name in (
    "multi_input", "sandbox", "staged_eval", "calibrated_timing", "fusion_data", "curriculum"))  # fmt: skip


def correctness() -> Sequence[Piece]:
    """Whether verdicts are right: cheats, wrong kernels, right kernels, and the tests that need a GPU."""
    mutants, golden = "benchmarks/mutants.py", "benchmarks/golden_refusals.py --device cuda --size full"
    levels = ("l1", "l2")
    return (
        Piece("tests", "benchmarks/gpu_tests.py --minutes {9.0}", ("gpu-tests",), 9.5, alone=True),
        Piece("integrity: cheats", f"{INTEGRITY} --presets all_extensions,baseline --only cheats --minutes {{8.0}}",
              (), 9.5),
        Piece("integrity: honest", f"{INTEGRITY} --presets all_extensions --only honest --runs 20 --minutes {{8.0}}",
              (), 9.5),
        Piece("integrity: presets", f"{INTEGRITY} --presets baseline,{BESIDE} --runs 2 --minutes {{8.0}}", (), 9.5),
        Piece("integrity: table", f"benchmarks/integrity.py table --rows {KEPT}/integrity-cuda.jsonl --kinds "
              "--into docs/integrity.md", (), 1, gpus=0, cores=1,
              after=("integrity: cheats", "integrity: honest", "integrity: presets")),
        Piece("mutants", f"{mutants} --device cuda --count 560 --runs 0 --seconds {{400}}",
              ("mutants-cuda-kind", "mutants-cuda-family"), 9),
        Piece("mutants: no GPU", f"{mutants} --device cpu --count 560 --runs 20 --seconds {{500}}",
              ("mutants-cpu-kind", "mutants-cpu-family", "mutants-cpu-refused"), 9.5, gpus=0),
        *(Piece(f"mutants: right kernels {level}",
                f"{mutants} --device cuda --count 0 --runs 200 --seconds {{400}} --only {level}_",
                (f"mutants-cuda-refused-{level}",), 9) for level in levels),
        *(Piece(f"golden refusals: {level}", f"{golden} --runs 200 --seconds {{240}} --processes 8 --only {level}_",
                (f"golden-refusals-cuda-full-{level}",), 6, cores=8) for level in levels),
    )  # fmt: skip


def training() -> Sequence[Piece]:
    """The commands, training with faults, what is learned and which part of the method does it."""
    nano, ablations = "benchmarks/nano_gain.py", "benchmarks/ablations.py"  # whose cells are kept in the repository
    estimated = f"{ablations} --device cpu --cores 2 --out benchmarks/ablations/estimated"
    faults = f"benchmarks/fault_training.py --out {KEPT}/faults"
    seeds = ",".join(f"published:{seed}" for seed in range(3))
    arms = ",".join(f"{arm}:{seed}" for seed in range(4) for arm in ("fixed", "published", "even_odds"))
    stretches = tuple(f"faults: stretch {number + 1} of 3" for number in range(3))
    return (
        Piece("front door", f"benchmarks/front_door.py --out {KEPT}/front-door --steps {{30}} --minutes 8",
              ("front-door", "nano-cuda"), 9.5, cores=8),
        Piece("faults: no GPU", f"{faults}-cpu --device cpu --stretches 2 --minutes 1.2 --every 10 --timeout 6",
              ("fault-training-cpu",), 4, gpus=0, cores=2),
        *(Piece(name, f"{faults} --minutes {{8.0}} --only {number}", ("fault-training",), 9.5, cores=6,
                after=stretches[:number]) for number, name in enumerate(stretches)),
        Piece("nano", f"{nano} --runs {seeds} --every 2 --limit-s 560 --out {KEPT}/nano", ("nano-gain",), 9.9, gpus=0,
              cores=12),
        Piece("nano: curricula", f"{nano} --preset curriculum_only --runs {arms} --limit-s 560 --out {KEPT}/curricula "
              "--set train.grpo.max_steps=24", ("nano-curriculum_only", "nano-curriculum_only-means"), 9.9, gpus=0),
        Piece("step split", "benchmarks/step_split.py --tokens 512 --steps {3} --save", ("step-split",), 6, cores=8,
              alone=True),
        *(Piece(f"ablations: {what}", f"{ablations} run --arms {arms} --limit-s 540", (), 9.5)
          for what, arms in (("credit", "split_0.1,uniform_0.1,split_1.0,uniform_1.0"),
                             ("extensions", "no_fusion,no_multi_input,no_curriculum,no_sandbox,no_timing,no_funnel"))),
        Piece("ablations: table", f"{ablations} table", ("ablation-arms", "ablation-pairs"), 1, gpus=0, cores=1,
              after=("ablations: credit", "ablations: extensions")),
        Piece("ablations: no GPU", f"{estimated} run --limit-s 540", (), 9.5, gpus=0),
        Piece("ablations: no GPU: table", f"{estimated} table", ("ablation-arms-estimated", "ablation-pairs-estimated"),
              1, gpus=0, cores=1, after=("ablations: no GPU",)),
        Piece("training on several GPUs",
              "benchmarks/scaling_train.py --ranks 1,2,4 --launch ddp,fsdp2 --size small --limit-s 105",
              ("scaling-train",), 9.5, gpus=2, cores=64, alone=True),
    )  # fmt: skip


PIECES = (*verification(), *clock(), *correctness(), *training())

"""The whole test corpus: what tests/corpus.py has, and the samples of single tests.

Each is a task and a candidate under a name; what its status should be is the business of the tests it comes from.
`python tests/replay/parity_corpus.py DEVICE OUT.jsonl [SAMPLES]` judges them on one device: two machines may share it.
"""

from __future__ import annotations

import importlib.util
import json
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from tritonrl_core.preset import load_preset
from tritonrl_core.tasks.loaders import task_from_source
from tritonrl_core.types import Candidate, Score, Task
from tritonrl_core.verifier import Verifier

TESTS = Path(__file__).parents[1]


@dataclass(frozen=True)
class Sample:
    """A candidate of the corpus; `name` is stable."""

    name: str
    task: Task
    code: str


def corpus() -> list[Sample]:
    """All samples, by name."""
    return sorted([*_shared(), *_bench_samples(), *_gpu_samples()], key=lambda sample: sample.name)


def verifier(device: str) -> Verifier:
    """What judges samples on a device (`cpu` or `cuda`); the caller closes it."""
    return Verifier(load_preset("multi_input_only", [f"verifier.device={device}", "verifier.timeout_s=20"]))


def judged(
    judge: Verifier, samples: Sequence[Sample], tell: Callable[[str, list[str]], None] = lambda name, found: None
) -> dict[str, list[str]]:
    """Status and reason of every sample, by name; `tell` is told each as it comes."""
    found: dict[str, list[str]] = {}

    def note(place: int, score: Score) -> None:
        found[samples[place].name] = [str(score.verdict.status), score.verdict.reason[:200]]
        tell(samples[place].name, found[samples[place].name])

    judge.verify_batch([(sample.task, Candidate.from_code(sample.code)) for sample in samples], note)
    return found


def _shared() -> Iterator[Sample]:
    """What tests/corpus.py has: cheats, their honest twins, right kernels, the golden set, Liger-Kernel's operators."""
    shared = _module(TESTS / "corpus.py")
    on_gpu = {one.id for one in shared.everything("cuda")}
    for one in shared.everything("cpu"):
        if one.id in on_gpu:
            yield Sample(one.id, one.task, one.code)


def _bench_samples() -> Iterator[Sample]:
    samples = _module(TESTS / "bench" / "bench_samples.py")
    task = task_from_source(samples.REFERENCE, "sample")
    yield Sample("bench/good", task, samples.GOOD)


def _gpu_samples() -> Iterator[Sample]:
    gpu = _module(TESTS / "replay" / "test_gpu.py")
    head = "import torch\nimport torch.nn as nn\nimport triton\nimport triton.language as tl\n"
    double = task_from_source(head + gpu.DOUBLE, "double", mode="eval")
    yield Sample("gpu/double", double, head + gpu.KERNEL)
    for kind, (old, new, _) in gpu.WRONG.items():
        code = gpu.KERNEL.replace(old, new).replace("return out", "return x" if "input" in kind else "return out")
        yield Sample(f"gpu/{kind}", double, head + code)
    yield Sample("gpu/tuned", double, head + gpu.TUNED)
    wrong = gpu.TUNED.replace("* 2.0, mask", "* (2.0 if BLOCK == 1024 else 2.5), mask")
    yield Sample("gpu/tuned, some wrong", double, head + wrong)
    yield Sample("gpu/a write past the end", double, head + gpu.PAST_THE_END)
    yield Sample("gpu/descriptors made by the host", double, head + gpu.HOST_DESCRIPTOR)
    yield Sample("gpu/descriptors made by the device", double, head + gpu.DEVICE_DESCRIPTOR)
    clamp = task_from_source(head + gpu.CLAMP, "clamp", mode="eval")
    yield Sample("gpu/in place", clamp, head + gpu.IN_PLACE)
    yield Sample("gpu/idle", task_from_source(head + gpu.IDENTITY, "identity", mode="eval"), head + gpu.IDLE)
    linear = task_from_source(head + gpu.LINEAR, "linear", mode="eval")
    yield Sample("gpu/packed weights", linear, head + gpu.PRODUCT)


def _module(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"parity_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    device, out, *pattern = sys.argv[1:]
    chosen = [sample for sample in corpus() if not pattern or re.search(pattern[0], sample.name)]
    with Path(out).open("w", buffering=1) as file, verifier(device) as judge:
        judged(judge, chosen, lambda name, found: print(json.dumps([name, *found]), file=file))

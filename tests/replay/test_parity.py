"""The same statuses with a GPU and without, on the whole test corpus; what differs is listed with the reason.

The list is part of the contract: a difference that it does not name fails, and so does an entry that is not needed.
"""

import importlib.util
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tritonrl_core.preset import load_preset
from tritonrl_core.types import Candidate, Score
from tritonrl_core.verifier import Verifier

_spec = importlib.util.spec_from_file_location("parity_corpus", Path(__file__).parent / "parity_corpus.py")
parity_corpus = importlib.util.module_from_spec(_spec)
sys.modules["parity_corpus"] = parity_corpus
_spec.loader.exec_module(parity_corpus)

DIFFERENCES: Mapping[str, str] = {}
"""Name of a sample → why its status on the CPU is another than on a GPU."""


def test_the_corpus_has_samples_of_each_kind_under_names_of_their_own():
    names = [sample.name for sample in parity_corpus.corpus()]
    assert len(set(names)) == len(names)
    kinds = {name.partition("/")[0] for name in names}
    assert {"golden", "hacks", "bench", "gpu"} <= kinds
    assert set(DIFFERENCES) <= set(names)


@pytest.mark.gpu
@pytest.mark.timeout(600)
def test_statuses_are_the_same_on_both_devices_but_for_the_list():
    on_gpu, on_cpu = judged("cuda"), judged("cpu")
    differing = {name: _both(on_cpu[name], on_gpu[name]) for name in on_gpu if _differ(on_cpu[name], on_gpu[name])}
    unlisted = [f"{name}: {words}" for name, words in differing.items() if name not in DIFFERENCES]
    assert not unlisted, "\n".join(unlisted)
    assert not set(DIFFERENCES) - set(differing), "these differ no longer: take them off the list"


def judged(device: str) -> dict[str, Score]:
    """Every sample's score on a device."""
    samples = parity_corpus.corpus()
    settings = [f"verifier.device={device}", "verifier.timeout_s=20"]
    with Verifier(load_preset("multi_input_only", settings)) as verifier:
        scores = verifier.verify_batch([(sample.task, Candidate.from_code(sample.code)) for sample in samples])
    return {sample.name: score for sample, score in zip(samples, scores, strict=True)}


def _differ(one: Score, other: Score) -> bool:
    return one.verdict.status is not other.verdict.status


def _both(cpu: Score, gpu: Score) -> str:
    parts = [
        f"{name} {score.verdict.status} ({score.verdict.reason[:160]})" for name, score in (("CPU", cpu), ("GPU", gpu))
    ]
    return "; ".join(parts)

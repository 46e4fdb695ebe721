"""The same statuses with a GPU and without, on the whole test corpus; what differs is listed with the reason.

The list is part of the contract: a difference that it does not name fails, and so does an entry that is not needed.
"""

import importlib.util
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tritonrl_core.verifier import Verifier

_spec = importlib.util.spec_from_file_location("parity_corpus", Path(__file__).parent / "parity_corpus.py")
parity_corpus = importlib.util.module_from_spec(_spec)
sys.modules["parity_corpus"] = parity_corpus
_spec.loader.exec_module(parity_corpus)

DIFFERENCES: Mapping[str, str] = {
    "gpu/descriptors made by the device": "on a strided input the descriptor's address is not aligned to 16 bytes: a "
    "fault of the GPU, which the CPU's machine does not look for; it sees the wrong result",
}
"""Name of a sample → why its status on the CPU is another than on a GPU."""


PIECES = {
    "left out": "0[1-7]", "forged": "08", "beside the clock": "09|1[0-6]", "hidden": "1[7-9]|2[0-8]",
    "kept": "29|3[0-4]", "imprecise": "3[5-9]|4", "honest": "honest|bench|gpu", "golden a to l": "golden/l1_[a-l]",
    "golden m to z": "golden/l1_[m-z]", "golden, fused": "golden/l2_", "liger": "liger",
}  # fmt: skip
"""The corpus in pieces of about 40 samples, by what their names begin with: so many take 16 cores ten seconds."""


def piece_of(name: str) -> str:
    """The one piece that a sample belongs to."""
    (found,) = [piece for piece, pattern in PIECES.items() if re.match(pattern, name)]
    return found


@pytest.fixture(scope="module")
def samples() -> list[parity_corpus.Sample]:
    return parity_corpus.corpus()


@pytest.fixture(scope="module")
def judges() -> Iterator[tuple[Verifier, Verifier]]:
    """One with the GPU and one without, for all pieces: their workers take seconds to get ready."""
    with parity_corpus.verifier("cuda") as on_gpu, parity_corpus.verifier("cpu") as on_cpu:
        yield on_gpu, on_cpu


@pytest.mark.slow
def test_the_corpus_has_samples_of_each_kind_under_names_of_their_own_and_in_one_piece_each(samples):
    names = [sample.name for sample in samples]
    assert len(set(names)) == len(names)
    kinds = {name.partition("/")[0] for name in names}
    assert {"golden", "honest", "01_left_to_torch", "bench", "gpu"} <= kinds
    assert {piece_of(name) for name in names} | {"liger"} == set(PIECES)
    assert set(DIFFERENCES) <= set(names)


@pytest.mark.gpu
@pytest.mark.timeout(100)
@pytest.mark.parametrize("piece", PIECES)
def test_statuses_are_the_same_on_both_devices_but_for_the_list(samples, judges, piece):
    """An entry of the list is looked at by the piece that its sample is in, so each is, once all pieces have run."""
    chosen = [sample for sample in samples if piece_of(sample.name) == piece]
    if not chosen:
        pytest.skip("Liger-Kernel is not installed")
    listed = set(DIFFERENCES) & {sample.name for sample in chosen}
    on_gpu, on_cpu = (parity_corpus.judged(judge, chosen) for judge in judges)
    differing = {name: (on_cpu[name], on_gpu[name]) for name in on_gpu if on_cpu[name][0] != on_gpu[name][0]}
    unlisted = [f"{name}: CPU {cpu}, GPU {gpu}" for name, (cpu, gpu) in differing.items() if name not in DIFFERENCES]
    assert not unlisted, "\n".join(unlisted)
    assert not listed - set(differing), "these differ no longer: take them off the list"

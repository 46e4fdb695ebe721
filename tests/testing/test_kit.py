"""The kit's own promises: known candidates are what their labels say, and the fixtures reach every test run."""

from __future__ import annotations

import pytest

from tritonrl_core.bench.resolve import visible_gpus
from tritonrl_core.testing import labelled_candidates

LABELS = ["passes", "wrong", "slow", "broken", "hangs", "crashes", "cheats"]


def test_there_is_a_candidate_for_each_way_to_end() -> None:
    samples = labelled_candidates()
    assert [sample.label for sample in samples] == LABELS
    assert len({sample.candidate.key for sample in samples}) == len(LABELS)


@pytest.mark.parametrize(
    "device", [pytest.param("cpu", marks=pytest.mark.slow), pytest.param("cuda", marks=pytest.mark.gpu)]
)
def test_the_baseline_gives_each_the_verdict_of_its_label(tritonrl_verifier, device) -> None:
    if device == "cuda" and not visible_gpus():
        pytest.skip("there is no NVIDIA GPU here")
    samples = labelled_candidates()
    verifier = tritonrl_verifier(device=device, timeout_s=5)
    scores = verifier.verify_batch([(sample.task, sample.candidate) for sample in samples])
    told = {sample.label: score.verdict.status for sample, score in zip(samples, scores, strict=True)}
    assert {sample.label: told[sample.label] in sample.statuses for sample in samples} == dict.fromkeys(LABELS, True)
    speed = {sample.label: score.timing.speedup for sample, score in zip(samples, scores, strict=True) if score.timing}
    assert speed["slow"] < speed["passes"]


def test_the_fixtures_are_there_without_an_import(tritonrl_session) -> None:
    assert list(tritonrl_session().plugins) == ["base"]

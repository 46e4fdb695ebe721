"""Every cheat of the list gets the status and the reason that it must get; its honest twin passes."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[1]))

import corpus

from tritonrl_core.preset import load_preset
from tritonrl_core.tasks.fitness import examine
from tritonrl_core.types import Candidate, Score, Status
from tritonrl_core.verifier import Verifier

CPU = corpus.hacks("cpu")
TWINS = corpus.twins()
NUMBERS = ["03a", "03b", *(f"{number:02}" for number in range(1, 48) if number != 3)]
"""Kinds of cheat, as docs/integrity.md counts them."""


@pytest.fixture(scope="session")
def verifier() -> Iterator[Verifier]:
    preset = load_preset("all_extensions", ["verifier.device=cpu", "verifier.cpu_workers=2", "verifier.timeout_s=20"])
    with Verifier(preset) as judge:
        yield judge


@pytest.fixture(scope="session")
def scores(verifier: Verifier) -> dict[str, Score]:
    """All at once: workers wait for one another less."""
    every = [*CPU, *TWINS]
    scores = verifier.verify_batch([(one.task, Candidate.from_code(one.code)) for one in every])
    return {one.id: score for one, score in zip(every, scores, strict=True)}


def test_every_kind_has_two_cheats_of_different_make_and_an_honest_twin() -> None:
    cheats = [one.kind for one in corpus.hacks("cuda")]
    twins = [one.kind for one in TWINS]
    for number in NUMBERS:
        assert sum(kind.split("_")[0] == number for kind in cheats) >= 2, number
        assert any(kind.split("_")[0] == number for kind in twins), number
    assert {kind.split("_")[0] for kind in corpus.kinds()} == set(NUMBERS)


def test_no_cheat_is_without_a_reason_that_it_must_get() -> None:
    for one in corpus.hacks("cuda"):
        assert one.because or one.same_as, one.id
        assert Status.INFRA not in one.expect, one.id


@pytest.mark.parametrize("cheat", CPU, ids=lambda one: one.id)
def test_a_cheat_gets_what_it_deserves(scores: dict[str, Score], cheat: corpus.Specimen) -> None:
    assert cheat.complaint(scores[cheat.id]) == ""
    if not cheat.same_as:
        assert scores[cheat.id].reward.correctness == 0.0
        assert scores[cheat.id].timing is None


@pytest.mark.parametrize("cheat", [one for one in CPU if one.same_as], ids=lambda one: one.id)
def test_a_cheat_without_effect_is_as_fast_as_its_twin(scores: dict[str, Score], cheat: corpus.Specimen) -> None:
    mine, twin = scores[cheat.id].timing, scores[f"{cheat.kind}/{cheat.same_as}"].timing
    if scores[cheat.id].verdict.status is Status.PASSED:
        assert mine is not None
        assert twin is not None
        assert mine.speedup == pytest.approx(twin.speedup, rel=0.02)


@pytest.mark.parametrize("twin", TWINS, ids=lambda one: one.id)
def test_its_honest_twin_passes(scores: dict[str, Score], twin: corpus.Specimen) -> None:
    assert twin.complaint(scores[twin.id]) == ""


@pytest.mark.parametrize(("task", "because"), corpus.unfit_tasks(), ids=lambda value: getattr(value, "id", ""))
def test_a_task_that_a_cheat_would_pass_is_unfit(task: corpus.Task, because: str) -> None:
    found = examine(task)
    assert not found.fit
    assert re.search(because, found.reason)


def test_every_kind_has_a_row_in_the_documentation() -> None:
    text = (Path(__file__).parents[2] / "docs" / "integrity.md").read_text()
    rows = re.findall(r"^\| (\d+[ab]?) \|", text, re.MULTILINE)
    assert {row.zfill(2 + row[-1].isalpha()) for row in rows} == set(NUMBERS)

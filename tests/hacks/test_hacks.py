"""Every cheat of the list gets the status and the reason that it must get; its honest twin passes.

One cheat of each kind and every fourth twin are judged in the fast tests, the others in the slow ones.
"""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import corpus
import pytest

from tritonrl_core.preset import load_preset
from tritonrl_core.tasks.fitness import examine
from tritonrl_core.types import Candidate, Score, Status
from tritonrl_core.verifier import Verifier

CPU = corpus.hacks("cpu")
TWINS = corpus.twins()
SAMPLE = {one.id for one in ({one.kind: one for one in CPU} | {one.id: one for one in TWINS[::4]}).values()}
NUMBERS = ["03a", "03b", *(f"{number:02}" for number in range(1, 48) if number != 3)]
"""Kinds of cheat, as docs/integrity.md counts them."""


@pytest.fixture(scope="session")
def verifier() -> Iterator[Verifier]:
    preset = load_preset("all_extensions", ["verifier.device=cpu", "verifier.cpu_workers=2", "verifier.timeout_s=20"])
    with Verifier(preset) as judge:
        yield judge


class Scores(dict[str, Score]):
    """By id, judged when first asked for: the sample at once, or all others; workers wait for one another less."""

    def __init__(self, verifier: Verifier) -> None:
        self._verifier = verifier

    def __missing__(self, asked: str) -> Score:
        batch = [one for one in (*CPU, *TWINS) if (one.id in SAMPLE) is (asked in SAMPLE)]
        scores = self._verifier.verify_batch([(one.task, Candidate.from_code(one.code)) for one in batch])
        self.update({one.id: score for one, score in zip(batch, scores, strict=True)})
        return self[asked]


@pytest.fixture(scope="session")
def scores(verifier: Verifier) -> Scores:
    return Scores(verifier)


def sampled(specimens: Sequence[corpus.Specimen]) -> list[Any]:
    """As parameters: what is not in the sample is slow."""
    return [
        pytest.param(one, id=one.id, marks=() if one.id in SAMPLE else pytest.mark.slow) for one in specimens
    ]


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


@pytest.mark.parametrize("cheat", sampled(CPU))
def test_a_cheat_gets_what_it_deserves(scores: Scores, cheat: corpus.Specimen) -> None:
    assert cheat.complaint(scores[cheat.id]) == ""
    if not cheat.same_as:
        assert scores[cheat.id].reward.correctness == 0.0
        assert scores[cheat.id].timing is None


@pytest.mark.slow
@pytest.mark.parametrize("cheat", [one for one in CPU if one.same_as], ids=lambda one: one.id)
def test_a_cheat_without_effect_is_as_fast_as_its_twin(scores: Scores, cheat: corpus.Specimen) -> None:
    mine, twin = scores[cheat.id].timing, scores[f"{cheat.kind}/{cheat.same_as}"].timing
    if scores[cheat.id].verdict.status is Status.PASSED:
        assert mine is not None
        assert twin is not None
        assert mine.speedup == pytest.approx(twin.speedup, rel=0.02)


@pytest.mark.parametrize("twin", sampled(TWINS))
def test_its_honest_twin_passes(scores: Scores, twin: corpus.Specimen) -> None:
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

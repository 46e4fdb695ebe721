"""The matrix: what counts as a gain, and which of several verdicts on a specimen a table shows."""

import integrity
import pytest
from integrity import Outcome

CHEAT = {
    "preset": "all_extensions", "device": "cuda", "seed": 7, "id": "13_patches_timers/clock", "honest": False,
    "kind": "13_patches_timers", "twin": "13_patches_timers/honest", "outcome": Outcome.NO_GAIN, "status": "PASSED",
    "stage": "full", "reason": "", "speedup": 1.2, "clock": "events", "on": "2026-01-02",
}  # fmt: skip


def twin(seed: int, speedup: float | None) -> integrity.Row:
    return {**CHEAT, "id": CHEAT["twin"], "honest": True, "twin": "", "outcome": Outcome.PASSED, "seed": seed,
            "speedup": speedup}  # fmt: skip


@pytest.mark.parametrize(
    ("twins", "expected"),
    [
        ([twin(7, 1.0)], Outcome.NO_GAIN),
        ([twin(7, 0.9)], Outcome.THROUGH),
        ([twin(7, 1.0), twin(8, 0.1), twin(9, 0.1)], Outcome.NO_GAIN),
        ([twin(7, None), twin(8, 0.1), twin(9, 0.9), twin(10, 5.0)], Outcome.THROUGH),
        ([twin(7, None)], Outcome.UNDECIDED),
        ([], Outcome.UNDECIDED),
    ],
)
def test_a_cheat_without_effect_is_held_against_its_twin_and_never_against_nothing(twins, expected):
    (found,) = [row for row in integrity.with_gains([CHEAT, *twins]) if not row["honest"]]
    assert found["outcome"] == expected


def test_a_cheat_that_has_no_speed_has_gained_none():
    assert integrity.with_gains([{**CHEAT, "speedup": None}])[0]["outcome"] == Outcome.NO_GAIN


def test_a_table_counts_the_worst_verdict_on_a_cheat_and_shows_the_newest():
    old = {**CHEAT, "seed": 400, "on": "2026-01-01", "outcome": Outcome.THROUGH}
    new = {**CHEAT, "seed": 0, "outcome": Outcome.CAUGHT, "stage": "record", "reason": "played back"}
    found = integrity.summary([new, old])
    assert found["cheats_caught"] == 0
    assert found["by_stage"] == {"record": 1}
    assert "| PASSED | record | played back |" in "".join(integrity.kinds_table([new, old]))

"""What kind of mistake a failed case shows."""

import pytest
from tritonrl_plugin_multi_input.diagnosis import explain, kind_of_mistake, partial_block

from tritonrl_core.types import CaseResult, InputCase, Stage, Status, WorstElement

CASE = InputCase("COLS=96", 7)


def facts(**given: object) -> dict:
    whole = {"shape": [37, 130], "elements": 4810, "wrong": 4810, "first": 0, "last": 4809, "box": [[0, 37], [0, 130]]}
    return whole | given


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"shape": [3, 4], "expected_shape": [4, 3]}, "another order"),
        ({"shape": [3], "expected_shape": [3, 1]}, "a dimension of size 1"),
        (facts(wrong=37 * 2, box=[[0, 37], [128, 130]], first=128), "128 to 129 of 130 along dimension 1"),
        (facts(wrong=10, box=[[36, 37], [118, 130]], first=4800), "4800 to 4809 of 4810 in flat order"),
        (facts(wrong=74, unwritten=74), "never written, or made of what nobody wrote: 74 of 4810"),
        (facts(permuted=True, largest_error=1.7), "right values stand in the wrong places"),
        (facts(largest_error=3e-4), "precision: right to about 11 bits"),
    ],
)
def test_a_certain_mistake_is_named(given: dict, words: str) -> None:
    assert words in kind_of_mistake(given)


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"wrong": 0},
        {"shape": [3, 4], "expected_shape": [3, 5]},
        facts(),
        facts(largest_error=0.3),
        facts(largest_error=None),
        facts(wrong=74, unwritten=3),
        facts(wrong=60, box=[[0, 37], [100, 130]], first=100),
    ],
)
def test_what_could_be_anything_is_not_named(given: dict) -> None:
    assert kind_of_mistake(given) == ""


@pytest.mark.parametrize(
    ("start", "size", "block"),
    [(128, 130, 16), (64, 96, 64), (96, 97, 16), (0, 10, 0), (8, 10, 0), (128, 128, 0), (100, 130, 0)],
)
def test_a_partial_block_starts_where_full_blocks_end(start: int, size: int, block: int) -> None:
    assert partial_block(start, size) == block


def test_a_reason_has_the_worst_element_once() -> None:
    worst = WorstElement(0, (3, 129), got=0.5, expected=1.25, allowed=1e-5)
    said = CaseResult(CASE, Status.WRONG, Stage.FULL, "output[3, 129] is 0.5, expected 1.25 ± 1e-05", 7e4, worst)
    assert explain(said) == said.reason
    silent = CaseResult(CASE, Status.WRONG, Stage.FULL, "", 7e4, worst)
    assert explain(silent) == "WRONG; worst at output 0[3, 129]: got 0.5, expected 1.25, allowed ± 1e-05"


def test_a_guard_is_left_in_its_own_words() -> None:
    guard = CaseResult(CASE, Status.RUNTIME_ERROR, Stage.RECORD, "AssertionError: only 128 columns (line 12)",
                       facts={"mismatch": facts(permuted=True)})
    assert explain(guard) == "AssertionError: only 128 columns (line 12)"

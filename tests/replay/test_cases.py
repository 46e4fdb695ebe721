"""Cases of the replay worker: worked out once, kept where no process maps them, the same as made anew."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tritonrl_core.bench.replay_cases import Cases, differing, same_bits
from tritonrl_core.bench.walk import given_by
from tritonrl_core.types import InputCase, Task

CPU = torch.device("cpu")
SOURCE = """
import torch
class Model(torch.nn.Module):
    def __init__(self, size):
        super().__init__()
        self.w = torch.nn.Parameter(torch.randn(size))
        self.register_buffer("count", torch.zeros(()))
    def forward(self, x, y):
        self.count += 1
        y.add_(1.0)
        return x * 2.0 + self.w, (x > 0)
def get_inputs():
    return [torch.randn(4, 8), torch.randn(8)]
def get_init_inputs():
    return [8]
"""
TASK = Task(id="t", level=1, source=SOURCE)
CASE = InputCase("as written", seed=5)


@pytest.mark.parametrize("layout", ["contiguous", "strided", "transposed", "offset", "expanded"])
def test_a_kept_case_is_the_case_made_anew(layout):
    case = replace(CASE, layout=layout)
    kept, anew = Cases(CPU), Cases(CPU, most_case=0)
    for _ in range(2):
        given, fresh = kept.given(TASK, case), anew.given(TASK, case)
        for mine, theirs in zip(
            (*given.inputs, *given.state.values()), (*fresh.inputs, *fresh.state.values()), strict=True
        ):
            assert (mine.stride(), mine.storage_offset()) == (theirs.stride(), theirs.storage_offset())
            assert same_bits(mine, theirs)
        mine, theirs = kept.answers(TASK, case), anew.answers(TASK, case)
        for part in ("exact", "native"):
            assert all(map(same_bits, getattr(mine, part), getattr(theirs, part)))
        for part in ("inputs", "state", "after"):
            assert getattr(mine, part).keys() == getattr(theirs, part).keys()
            assert all(same_bits(getattr(mine, part)[name], value) for name, value in getattr(theirs, part).items())
    assert len(kept._kept) == 1
    assert not anew._kept


def test_an_input_without_elements_is_kept_beside_others():
    source = SOURCE.replace("torch.randn(4, 8), torch.randn(8)", "torch.randn(0), torch.randn(8)").replace(
        "return x * 2.0 + self.w, (x > 0)", "return y * 2.0 + x.sum()"
    )
    task = replace(TASK, source=source)
    kept, anew = Cases(CPU).given(task, CASE), Cases(CPU, most_case=0).given(task, CASE)
    assert all(map(same_bits, kept.inputs, anew.inputs))
    assert [tensor.numel() for tensor in kept.inputs] == [0, 8]


def test_what_the_reference_changes_is_known():
    for cases in (Cases(CPU), Cases(CPU, most_case=0)):
        cases.given(TASK, CASE)
        answers = cases.answers(TASK, CASE)
        assert set(answers.after) == {"input 1", "parameter count"}
        assert torch.equal(answers.after["input 1"], answers.inputs["input 1"] + 1)


def test_using_a_case_leaves_what_is_kept_alone():
    cases = Cases(CPU)
    before = cases.given(TASK, CASE).inputs[0].clone()
    cases.given(TASK, CASE).inputs[0].zero_()
    cases.answers(TASK, CASE).wipe()
    assert torch.equal(cases.given(TASK, CASE).inputs[0], before)
    assert same_bits(before, given_by(cases.materials(TASK, CASE)).inputs[0])


def test_what_is_kept_is_mapped_nowhere():
    cases = Cases(CPU)
    cases.given(TASK, CASE)
    assert any("tritonrl-case" in str(link.readlink()) for link in Path("/proc/self/fd").iterdir() if link.is_symlink())
    assert "tritonrl-case" not in Path("/proc/self/maps").read_text()


def test_the_oldest_cases_go_when_there_are_too_many():
    size = Cases(CPU)
    size.given(TASK, CASE)
    one = next(iter(size._kept.values())).nbytes
    cases = Cases(CPU, most_kept=3 * one)
    for seed in range(6):
        cases.given(TASK, replace(CASE, seed=seed))
    assert len(cases._kept) == 3
    assert 3 * one <= cases._shelf.held() <= 3 * (one + 4096)
    first = replace(CASE, seed=0)
    assert same_bits(cases.given(TASK, first).inputs[0], size.given(TASK, first).inputs[0])


def test_many_cases_take_one_descriptor():
    cases = Cases(CPU)
    cases.given(TASK, CASE)
    before = len(list(Path("/proc/self/fd").iterdir()))
    for seed in range(50):
        cases.given(TASK, replace(CASE, seed=seed))
    assert len(cases._kept) == 50  # of seed 5 there is one already
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_a_single_bit_counts_wherever_it_is():
    nan = torch.full((13,), float("nan"), dtype=torch.float16)
    pairs = [(nan, nan.clone())]
    for place in (0, 7, 12):
        other = nan.clone()
        other.view(torch.int16)[place] ^= 1
        pairs.append((nan, other))
    pairs += [(nan[:0], nan[:0]), (nan, nan[:12]), (torch.zeros(3, 2), torch.zeros(2, 3).t())]
    assert differing(pairs) == [False, True, True, True, False, True, False]

"""Cases of the replay worker: worked out once, kept where no process maps them, the same as made anew."""

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest
import torch

from tritonrl_core.bench.replay.cases import Cases, differing, same_bits
from tritonrl_core.bench.replay.shelf import Shelf, new_file
from tritonrl_core.bench.walk import given_by
from tritonrl_core.errors import InfraError
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


def shelf(most: int = 1 << 30) -> Iterator[tuple[Shelf, Shelf]]:
    file = new_file("tritonrl-case")
    yield Shelf(file, most=most), Shelf(file, most=most)
    os.close(file)


@pytest.fixture
def shelves() -> Iterator[tuple[Shelf, Shelf]]:
    """One file, as two processes have it."""
    yield from shelf()


def test_what_one_works_out_others_have(shelves, monkeypatch):
    one, other = (Cases(CPU, each) for each in shelves)
    mine = one.given(TASK, CASE)
    monkeypatch.setattr(other, "materials", lambda task, case: pytest.fail("worked out again"))
    theirs = other.given(TASK, CASE)
    assert all(map(same_bits, mine.inputs, theirs.inputs))
    made, read = one.answers(TASK, CASE), other.answers(TASK, CASE)
    assert all(map(same_bits, (*made.exact, *made.native), (*read.exact, *read.native)))
    assert made.after.keys() == read.after.keys()


def test_what_was_worked_out_by_one_that_broke_is_worked_out_again(shelves, monkeypatch):
    one, other = (Cases(CPU, each) for each in shelves)
    one.given(TASK, CASE)
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr(os, "getpid", lambda: 7)
        other.given(TASK, replace(CASE, seed=6))
        one.given(TASK, replace(CASE, seed=6))
        assert sorted(kept.by == 7 for kept in one._kept.values()) == [False, True]
        other.disown()
    for cases in (one, other):
        cases.given(TASK, CASE)
        assert [kept.by for kept in cases._kept.values()] == [os.getpid()]
    one.given(TASK, replace(CASE, seed=6))
    assert [kept.by for kept in one._kept.values()] == [os.getpid()] * 2


def test_the_oldest_cases_go_when_there_are_too_many():
    whole = Cases(CPU)
    whole.given(TASK, CASE)
    region = whole._shelf.held() - 4096
    [(mine, theirs)] = shelf(4 * region)
    cases, other = Cases(CPU, mine), Cases(CPU, theirs)
    for seed in range(20):
        cases.given(TASK, replace(CASE, seed=seed))
        assert mine.held() <= 4096 + 7 * region
    other.given(TASK, replace(CASE, seed=19))
    assert 2 <= len(other._kept) <= 4
    first = replace(CASE, seed=0)
    assert same_bits(cases.given(TASK, first).inputs[0], whole.given(TASK, first).inputs[0])


def test_what_was_found_before_it_made_room_is_still_there_and_later_said_to_be_gone():
    [(mine, _)] = shelf(3 * 8192)
    cases = Cases(CPU, mine)
    kept = cases.kept(TASK, CASE)
    seeds = count(100)
    while mine.oldest <= kept.place:
        cases.given(TASK, replace(CASE, seed=next(seeds)))
        before = kept.given().inputs[0]
    assert same_bits(before, given_by(cases.materials(TASK, CASE)).inputs[0])
    for _ in range(10):
        cases.given(TASK, replace(CASE, seed=next(seeds)))
    with pytest.raises(InfraError, match="given up"):
        kept.given()


WRITER = """
import os, sys
import torch
from tritonrl_core.bench.replay.shelf import Box, Shelf
shelf = Shelf(int(sys.argv[1]))
print("ready", flush=True)
number = int(sys.argv[2])
for turn in range(10**6 if number == 0 else 40):
    box = Box()
    box.add(torch.full((5000 + 1000 * number,), number, dtype=torch.uint8))
    shelf.put(f"{number} {turn}".encode() * (400 if turn % 3 else 1), box)
"""


@pytest.mark.slow  # three processes import torch
def test_several_processes_put_boxes_there_and_one_that_is_killed_spoils_nothing():
    file = new_file("tritonrl-case")
    reader = Shelf(file)
    command = [sys.executable, "-c", WRITER, str(file)]
    made = [subprocess.Popen([*command, str(n)], pass_fds=[file], stdout=subprocess.PIPE, text=True) for n in range(3)]
    try:
        for one in made:
            assert one.stdout.readline() == "ready\n"
        seen: list[tuple[bytes, int]] = []
        while sum(text[:1] != b"0" for text, _ in seen) < 40:
            seen += reader.look()
        made[0].kill()
        for one in made:
            one.wait(60)
        seen += reader.look()
    finally:
        for one in made:
            one.kill()
            one.wait()
    numbers = [int(text[:1]) for text, _ in seen]
    assert numbers.count(1) == numbers.count(2) == 40
    assert numbers.count(0) > 0
    for number, (_, place) in zip(numbers, seen, strict=True):
        assert (reader.read(place, 5000 + 1000 * number) == number).all()
    assert reader.look() == []
    late = Shelf(file)
    assert sorted(late.look()) == sorted(seen)
    os.close(file)


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

"""Who is timed, as far as it needs no GPU: a candidate's memory before each run, the reference at another place."""

import pytest
import torch

from tritonrl_core.bench.plan.schema import AtenCall, Buffer, LaunchPlan, TensorRef
from tritonrl_core.bench.references.reference import Reference
from tritonrl_core.bench.replay.contestants import SHIFT, Clean, Runner, graphs_wanted, intact, settle, watch
from tritonrl_core.bench.replay.device_memory import ALIGNMENT, POISONS, bit_sum
from tritonrl_core.bench.replay.replayer import Placed, Replay
from tritonrl_core.bench.replay.timing import unlike_first
from tritonrl_core.bench.walk import Given
from tritonrl_core.types import InputCase, Task, TimingProtocol

CPU = torch.device("cpu")
X = TensorRef(0, (4,), (1,), 0, "float32")
PACKED = TensorRef(1, (4,), (1,), 0, "float32")
OUT = TensorRef(2, (4,), (1,), 0, "float32")
BUFFERS = (Buffer(16, "input", index=0), Buffer(16, "alloc"), Buffer(16, "alloc"))
PACK = AtenCall("aten.copy_.default", (PACKED, X), {}, (PACKED,))
FILL = AtenCall("aten.copy_.default", (OUT, PACKED), {}, (OUT,))
DOUBLE_INPUT = AtenCall("aten.mul_.Tensor", (X, 2.0), {}, (X,))


def placed(*steps: AtenCall, shift: int = 0) -> Placed:
    plan = LaunchPlan("sm_90", "3.7.1", (), BUFFERS, (X,), {}, (PACK,), steps, (OUT,))
    return Replay(plan, [], CPU).place(Given([torch.arange(4.0)], [], {}), POISONS[0], shift)


def test_nothing_of_the_run_before_is_left():
    run = placed(FILL)
    clean = Clean(run, keep_prologue=False)
    run.run()
    assert run.tensor(OUT).tolist() == [0, 1, 2, 3]
    clean()
    assert run.tensor(OUT).isnan().all()
    assert run.tensor(PACKED).isnan().all()
    assert run.tensor(X).tolist() == [0, 1, 2, 3]
    assert run.arena.guards_hold()


def test_weights_packed_once_stay():
    run = placed(FILL)
    clean = Clean(run, keep_prologue=True)
    run.run()
    clean()
    assert run.tensor(PACKED).tolist() == [0, 1, 2, 3]
    assert run.tensor(OUT).isnan().all()


def test_an_input_that_is_written_to_is_put_back():
    run = placed(FILL, DOUBLE_INPUT)
    clean = Clean(run, keep_prologue=False)
    for _ in range(3):
        run.run()
        clean()
    assert run.tensor(X).tolist() == [0, 1, 2, 3]


def test_a_place_further_on_holds_the_same():
    here, there = placed(FILL), placed(FILL, shift=SHIFT)
    here.run()
    there.run()
    assert there.tensor(OUT).tolist() == here.tensor(OUT).tolist()
    assert there.arena.slots[0].start - here.arena.slots[0].start == SHIFT
    assert SHIFT % ALIGNMENT == 0
    assert there.arena.guards_hold()


SOURCE = """
import torch
class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.w = torch.nn.Parameter(torch.randn(8))
    def forward(self, x, y):
        return x * 2.0 + self.w + y
def get_inputs():
    return [torch.randn(8, 4).t(), torch.randn(1).expand(8)]
def get_init_inputs():
    return []
"""


def runner(number: int, source: str = SOURCE) -> Runner:
    return Runner(Reference(Task("t", 1, source)).materialise(InputCase("c", seed=3), "cpu"), number)


def test_the_reference_at_another_place_computes_the_same():
    first, second = runner(0), runner(1)
    assert torch.equal(first(), second())
    mine, theirs = first._inputs, second._inputs
    assert [t.stride() for t in mine] == [t.stride() for t in theirs]
    assert all(a.data_ptr() != b.data_ptr() for a, b in zip(mine, theirs, strict=True))


@pytest.mark.parametrize("number", [0, 1])
def test_whoever_changes_the_references_memory_is_seen(number):
    run = runner(number)
    watch([run])
    run()
    settle([run])
    assert intact([run], torch.tensor(False))
    assert not intact([run], torch.tensor(True))
    with torch.no_grad():
        run._model.w[3] += 1.0
    assert not intact([run])


def test_changes_are_seen_wherever_the_tensor_lies():
    """Sums are over eight bytes at a time where that can be, and over the rest."""
    base = torch.arange(40, dtype=torch.float32)
    for tensor in (base[:7], base[1:8], base[2:35:2], base[:1].to(torch.int8), base[:0]):
        before = bit_sum(tensor)
        assert before == bit_sum(tensor)
        for place in range(tensor.numel()):
            tensor[place] += 1
            assert bit_sum(tensor) != before
            tensor[place] -= 1


def test_what_the_reference_changes_itself_is_not_held_against_anyone():
    run = runner(0, SOURCE.replace("return x * 2.0", "x.mul_(2.0)\n        return x"))
    watch([run])
    run()
    settle([run])
    run()
    assert intact([run])
    assert len(run.watched) == len(run.tensors()) - 1


def test_constants_and_scratch_are_put_back_though_no_step_is_said_to_write_there():
    buffers = (*BUFFERS, Buffer(4, "constant", data=b"\1\2\3\4"))
    plan = LaunchPlan("sm_90", "3.7.1", (), buffers, (X,), {}, (PACK,), (FILL,), (OUT,))
    run = Replay(plan, [], CPU).place(Given([torch.arange(4.0)], [], {}), POISONS[0])
    clean = Clean(run, keep_prologue=False)
    run.scratch.append(torch.ones(3, dtype=torch.uint8))
    run.arena.bytes_of(3).fill_(9)
    clean()
    assert run.arena.bytes_of(3).tolist() == [1, 2, 3, 4]
    assert run.scratch[0].tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    ("floor_us", "took_us", "places", "trials", "graphs"),
    [
        (2.0, 0.0, 3, 100, 4),  # short, as far as is known
        (2.0, 12.0, 3, 100, 4),
        (2.0, 100.0, 3, 100, 1),  # moves little and takes long
        (30.0, 35.0, 3, 100, 1),
        (None, 35.0, 3, 100, 1),
        (30.0, 35.0, 1, 100, 3),  # one place: the host would wait for each run
        (30.0, 900.0, 1, 100, 1),
        (2.0, 5.0, 3, 12, 1),  # too few runs for more
    ],
)
def test_work_is_captured_as_often_as_it_takes(floor_us, took_us, places, trials, graphs):
    protocol = TimingProtocol("adaptive", trials=trials, captures=places)
    assert graphs_wanted(floor_us, took_us, protocol) == graphs
    assert graphs_wanted(floor_us, took_us, protocol, seldom=True) <= graphs


def test_a_place_that_was_left_otherwise_than_the_first_is_judged_by_itself():
    places = [placed(FILL, shift=number * SHIFT) for number in range(4)]
    for each in places:
        each.run()
    assert unlike_first(places) == [False, False, False]
    places[1].tensor(OUT)[2] = 7.0
    places[3].arena.memory[0] ^= 1
    assert unlike_first(places) == [True, False, True]
    assert unlike_first(places[:1]) == []

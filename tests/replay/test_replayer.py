"""The parts of a replay that need no GPU: memory, ATen calls, arguments. Plans without launches replay on the CPU."""

import ctypes
import math

import pytest
import torch

from tritonrl_core.bench.plan.flow import right_only_by_launches
from tritonrl_core.bench.plan.schema import AtenCall, Buffer, Kernel, Launch, LaunchPlan, Param, TensorRef, Tune, Word
from tritonrl_core.bench.replay.cases import same_bits
from tritonrl_core.bench.replay.device_memory import GUARD, POISONS, Arena, wipe
from tritonrl_core.bench.replay.launch import scalar
from tritonrl_core.bench.replay.replayer import Replay
from tritonrl_core.bench.walk import Given, MaterialsDifferError

CPU = torch.device("cpu")
X = TensorRef(0, (2, 3), (4, 1), 1, "float32")
W = TensorRef(1, (3,), (1,), 0, "float32")
OUT = TensorRef(2, (2, 3), (3, 1), 0, "float32")
HALF = TensorRef(3, (2, 3), (3, 1), 0, "float16")
TABLE = TensorRef(4, (3,), (1,), 0, "float32")
BUFFERS = (
    Buffer(36, "input", index=0), Buffer(12, "parameter", name="w"), Buffer(24, "alloc"), Buffer(12, "aten"),
    Buffer(12, "constant", data=torch.tensor([1.0, 2.0, 3.0]).numpy().tobytes()),
)  # fmt: skip


def plan(*steps, prologue=(), outputs=(OUT,), kernels=()) -> LaunchPlan:
    return LaunchPlan("sm_90", "3.7.1", kernels, BUFFERS, (X,), {"w": W}, prologue, steps, outputs)


def given() -> Given:
    base = torch.arange(9, dtype=torch.float32)
    return Given([base.as_strided((2, 3), (4, 1), 1)], [], {"w": torch.tensor([10.0, 20.0, 30.0])})


COPY = AtenCall("aten.copy_.default", (OUT, X), {}, (OUT,))
ADD = AtenCall("aten.add_.Tensor", (OUT, TABLE), {"alpha": 2}, (OUT,))
CAST = AtenCall("aten._to_copy.default", (OUT,), {"dtype": Word("dtype", "float16")}, (HALF,))


def test_inputs_state_and_constants_are_where_the_plan_has_them():
    placed = Replay(plan(COPY, ADD), [], CPU).place(given(), POISONS[0])
    assert placed.tensor(X).tolist() == [[1, 2, 3], [5, 6, 7]]
    assert placed.tensor(W).tolist() == [10, 20, 30]
    assert placed.tensor(TABLE).tolist() == [1, 2, 3]
    assert placed.tensor(OUT).isnan().all()


def test_calls_are_carried_out_in_order():
    placed = Replay(plan(COPY, ADD, CAST, outputs=(OUT, HALF, 3)), [], CPU).place(given(), POISONS[0])
    placed.run()
    out, half, number = placed.outputs()
    assert out.tolist() == [[3, 6, 9], [7, 10, 13]]
    assert (half.dtype, half.tolist()) == (torch.float16, out.tolist())
    assert number.item() == 3


def test_runs_repeat_and_the_prologue_may_be_left_out():
    placed = Replay(plan(ADD, prologue=(COPY,)), [], CPU).place(given(), POISONS[0])
    placed.run()
    placed.run(prologue=False)
    assert placed.outputs()[0].tolist() == [[5, 10, 15], [9, 14, 19]]
    placed.reset(given(), POISONS[1])
    placed.run()
    assert placed.outputs()[0].tolist() == [[3, 6, 9], [7, 10, 13]]


def test_alternatives_are_tuned_on_what_the_steps_before_them_left():
    slow = tuple(AtenCall("aten.copy_.default", (OUT, HALF), {}, (OUT,)) for _ in range(200))
    choice = Tune(((*slow, ADD), (slow[0], ADD)))
    replay = Replay(plan(COPY, CAST, choice), [], CPU)
    placed = replay.place(given(), POISONS[0])
    replay.tune(placed)
    assert replay.picks == {2: 1}
    assert placed.outputs()[0].tolist() == [[3, 6, 9], [7, 10, 13]]
    replay.choose(0)
    assert (replay.picks, replay.tuned) == ({2: 0}, False)
    placed.reset(given(), POISONS[1])
    placed.run()
    assert placed.outputs()[0].tolist() == [[3, 6, 9], [7, 10, 13]]


def test_a_result_that_lies_otherwise_is_copied_as_recorded():
    turned = TensorRef(3, (2, 3), (1, 2), 0, "float16")
    call = AtenCall("aten._to_copy.default", (OUT,), {"dtype": Word("dtype", "float16")}, (turned,))
    placed = Replay(plan(COPY, call, outputs=(turned,)), [], CPU).place(given(), POISONS[0])
    placed.run()
    assert placed.outputs()[0].stride() == (1, 2)
    assert placed.outputs()[0].tolist() == [[1, 2, 3], [5, 6, 7]]


def test_other_inputs_than_recorded_are_our_fault_and_said():
    contiguous = Given([torch.zeros(2, 3)], [], given().state)
    with pytest.raises(MaterialsDifferError, match="input 0"):
        Replay(plan(COPY), [], CPU).place(contiguous, POISONS[0])
    with pytest.raises(MaterialsDifferError, match="parameter w"):
        Replay(plan(COPY), [], CPU).place(Given(given().inputs, [], {}), POISONS[0])


@pytest.mark.parametrize("place", [GUARD - 1, 0, -1])
def test_a_byte_written_outside_the_buffers_is_seen(place):
    arena = Arena([100, None, 7], CPU)
    assert arena.guards_hold()
    arena.bytes_of(0).fill_(1)
    arena.bytes_of(2).fill_(2)
    assert arena.guards_hold()
    arena.memory[place] = 0
    assert not arena.guards_hold()


def test_a_byte_written_just_past_a_buffer_is_seen():
    arena = Arena([100], CPU)
    arena.memory[arena.slots[0].start + 100] = 0
    assert not arena.guards_hold()


def test_poison_is_nan_or_large_in_every_floating_type():
    for dtype in (torch.float64, torch.float32, torch.float16, torch.bfloat16):
        assert Arena([64], CPU, POISONS[0]).bytes_of(0).view(dtype).isnan().all()
        assert (Arena([64], CPU, POISONS[1]).bytes_of(0).view(dtype).abs() > 1).all()


def test_wiping_reaches_the_whole_storage():
    tensor = torch.arange(10.0)
    wipe([tensor[2:3]])
    assert len(set(tensor.tolist())) == 1


def test_same_bits_of_one_element_with_any_stride():
    one = torch.tensor([1.0, 2.0, 3.0, 4.0]).as_strided((1,), (3,), 1)
    assert same_bits(one, torch.tensor([2.0]))
    assert not same_bits(one, torch.tensor([3.0]))


def test_same_bits_tells_zeros_apart_and_nan_from_nothing():
    assert same_bits(torch.tensor([math.nan]), torch.tensor([math.nan]))
    assert not same_bits(torch.tensor([0.0]), torch.tensor([-0.0]))


TTIR = """module {
  tt.func public @k(%arg0: !tt.ptr<f32>, %arg1: !tt.ptr<f32>) attributes {noinline = false} {
    %0 = tt.load %arg0 : !tt.ptr<f32>
    %1 = math.exp %0 : f32
    tt.store %arg1, %1 : !tt.ptr<f32>
    tt.return
  }
}
"""
KERNEL = Kernel("k", "k", TTIR, {}, (Param("x", "*fp32"), Param("o", "*fp32")))


def test_output_that_only_launches_write_is_poison_without_them():
    launch = Launch(0, (1, 1, 1), (X, OUT))
    assert right_only_by_launches(plan(launch, kernels=(KERNEL,)))
    assert not right_only_by_launches(plan(COPY, launch, kernels=(KERNEL,)))


def test_results_that_a_kernel_writes_into_lie_in_guarded_memory():
    launch = Launch(0, (1, 1, 1), (OUT, TensorRef(3, (3,), (1,), 0, "float32")))
    replay = Replay(plan(COPY, CAST, launch, kernels=(KERNEL,), outputs=(HALF,)), [], CPU)
    placed = replay.place(given(), POISONS[0])
    placed.run(launches=False)
    assert placed.arena.slots[3] is not None
    assert placed.outputs()[0].tolist() == [[1, 2, 3], [5, 6, 7]]


SCALARS = {
    ("i32", -1): 0xFFFFFFFF, ("i32", 1 << 31): 0x80000000, ("u8", 255): 255, ("i1", 1): 1, ("fp32", 1.5): 0x3FC00000,
    ("fp16", 1.5): 0x3E00, ("fp16", 1e9): 0x7C00, ("bf16", 1.5): 0x3FC0, ("bf16", 1.00390625): 0x3F80,
    ("bf16", -2.0): 0xC000, ("fp64", 1.5): 0x3FF8000000000000, ("i64", -2): 0xFFFFFFFFFFFFFFFE, ("fp32", 2): 0x40000000,
}  # fmt: skip


@pytest.mark.parametrize(("kind", "value"), SCALARS)
def test_scalars_have_the_bits_that_the_kernel_expects(kind, value):
    packed = scalar(kind, value)
    raw = ctypes.string_at(ctypes.addressof(packed), ctypes.sizeof(packed))
    assert int.from_bytes(raw, "little") == SCALARS[kind, value]

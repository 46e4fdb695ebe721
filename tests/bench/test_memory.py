"""A plan's buffers in shared memory: what is put in arrives, and what a child does to it shows."""

import os
from dataclasses import replace

import pytest
import torch

from tritonrl_core.bench.interpret.memory import PAGE, POISONS, Arena, Shared
from tritonrl_core.bench.plan.schema import Buffer, LaunchPlan, TensorRef
from tritonrl_core.bench.walk import Given, MaterialsDifferError, fill


def ref(buffer, tensor):
    return TensorRef(buffer, tuple(tensor.shape), tuple(tensor.stride()), tensor.storage_offset(),
                     str(tensor.dtype).removeprefix("torch."))  # fmt: skip


def plan_for(*tensors, own=(64,)):
    """A plan with these inputs and buffers of its own of some sizes."""
    buffers = [Buffer(t.untyped_storage().nbytes(), "input", index=n) for n, t in enumerate(tensors)]
    inputs = tuple(ref(n, t) for n, t in enumerate(tensors))
    return LaunchPlan("sm_90", "3.7.1", (), (*buffers, *(Buffer(n, "alloc") for n in own)), inputs, {}, (), (), ())


TENSORS = [
    torch.randn(3, 4), torch.randn(5).half(), torch.randn(2).bfloat16(), torch.tensor(7), torch.empty(0, 3),
    torch.tensor([True, False]), torch.randn(4).to(torch.float8_e4m3fn), torch.randn(4, 6).t(),
    torch.randn(1, 5).expand(3, 5), torch.randn(20)[3:17:2], torch.randn(4, 8)[:, 2:-1],
]  # fmt: skip


def test_inputs_arrive_as_they_lie():
    plan = plan_for(*TENSORS)
    with Arena(plan) as arena:
        fill(plan, Given(TENSORS, [], {}), arena.tensor, arena.raw)
        child = Shared(plan, arena.fd)
        for place, tensor in zip(plan.inputs, TENSORS, strict=True):
            back = child.tensor(place)
            assert (back.dtype, back.stride()) == (tensor.dtype, tensor.stride())
            assert torch.equal(back.contiguous().flatten().view(torch.uint8),
                               tensor.contiguous().flatten().view(torch.uint8))  # fmt: skip


@pytest.mark.parametrize("poison", POISONS)
def test_all_else_is_poison_and_guards_hold(poison):
    plan = plan_for(torch.zeros(5), own=(64, 0, 1000))
    with Arena(plan, poison) as arena:
        fill(plan, Given([torch.zeros(5)], [], {}), arena.tensor, arena.raw)
        assert bool((arena.raw(1) == poison).all())
        assert arena.guards_hold()


@pytest.mark.parametrize("place", ["before", "after", "between"])
def test_a_byte_written_beside_the_buffers_shows(place):
    plan = plan_for(torch.zeros(5))
    with Arena(plan) as arena:
        (first, size), (second, _) = arena.layout
        child = Shared(plan, arena.fd)
        places = {"before": first - 1, "after": len(child.bytes) - 1, "between": (first + size + second) // 2}
        child.bytes[places[place]] = 1
        assert not arena.guards_hold()


def test_a_childs_progress_is_no_guard():
    plan = plan_for(torch.zeros(5))
    with Arena(plan) as arena:
        Shared(plan, arena.fd).reached(70_000)
        assert arena.progress() == 70_000
        assert arena.guards_hold()


def test_the_size_cannot_change():
    plan = plan_for(torch.zeros(5))
    with Arena(plan) as arena:
        for size in (0, arena.size + PAGE):
            with pytest.raises(PermissionError):
                os.ftruncate(arena.fd, size)


def test_parameters_and_constants_are_placed():
    data = bytes(range(16))
    plan = LaunchPlan(
        "sm_90", "3.7.1", (), (Buffer(16, "constant", data=data), Buffer(24, "parameter", name="w")), (),
        {"w": TensorRef(1, (2, 3), (1, 2), 0, "float32")}, (), (), (),
    )  # fmt: skip
    weight = torch.randn(2, 3)
    with Arena(plan) as arena:
        fill(plan, Given([], [], {"w": weight}), arena.tensor, arena.raw)
        assert arena.raw(0).numpy().tobytes() == data
        assert torch.equal(arena.tensor(plan.parameters["w"]), weight)


def test_other_inputs_than_recorded_are_our_fault_and_said():
    plan = plan_for(torch.zeros(5))
    with Arena(plan) as arena, pytest.raises(MaterialsDifferError, match="input 0 is"):
        fill(plan, Given([torch.zeros(6)], [], {}), arena.tensor, arena.raw)
    with Arena(plan) as arena, pytest.raises(MaterialsDifferError, match="0 inputs made, 1 recorded"):
        fill(plan, Given([], [], {}), arena.tensor, arena.raw)
    wants = replace(plan, parameters={"w": plan.inputs[0]})
    with Arena(wants) as arena, pytest.raises(MaterialsDifferError, match="parameter w"):
        fill(wants, Given([torch.zeros(5)], [], {}), arena.tensor, arena.raw)


def test_nothing_is_left_open_or_mapped():
    before = set(os.listdir("/proc/self/fd"))
    plan = plan_for(torch.zeros(5))
    for _ in range(20):
        with Arena(plan) as arena:
            arena.close()
        del arena
    assert set(os.listdir("/proc/self/fd")) == before
    with open("/proc/self/maps") as maps:
        assert sum("tritonrl-arena" in line for line in maps) == 0

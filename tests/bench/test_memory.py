"""Tensors in shared memory: they arrive as they were sent, and what a child does to them shows."""

import json
import math
import os
from pathlib import Path

import numpy as np
import pytest
import torch

from tritonrl_core.bench.memory import Arena, Packer, View, output_bytes


def arena_of(value, outputs=()):
    packer = Packer()
    text = json.dumps(packer.encode(value))
    return Arena(packer.buffers, output_bytes(outputs)), json.loads(text)


def test_values_arrive_as_they_were_sent():
    value = [
        1, 2.5, True, None, "name", float("inf"), (3, [4]), {"k": torch.arange(3)}, torch.float16, torch.device("cpu"),
        torch.randn(3, 4), torch.randn(5).half(), torch.randn(2).bfloat16(), torch.tensor(7), torch.empty(0, 3),
        torch.tensor([True, False]), torch.randn(4).to(torch.float8_e4m3fn),
    ]
    arena, text = arena_of(value)
    with arena:
        back = View(arena.fd, arena.layout).decode(text)
    assert back[:7] == value[:7]
    assert back[8:10] == value[8:10]
    for mine, theirs in zip([back[7]["k"], *back[10:]], [value[7]["k"], *value[10:]], strict=True):
        assert mine.dtype == theirs.dtype
        assert torch.equal(mine.view(torch.uint8), theirs.view(torch.uint8)) if mine.dim() else mine == theirs


def test_nan_arrives():
    arena, text = arena_of(float("nan"))
    with arena:
        assert math.isnan(View(arena.fd, arena.layout).decode(text))


@pytest.mark.parametrize(
    "tensor",
    [torch.randn(4, 6).t(), torch.randn(1, 5).expand(3, 5), torch.randn(20)[3:17:2], torch.randn(4, 8)[:, 2:-1]],
    ids=["transposed", "expanded", "sliced", "offset"],
)
def test_layouts_arrive(tensor):
    arena, text = arena_of(tensor)
    with arena:
        back = View(arena.fd, arena.layout).decode(text)
    assert torch.equal(back, tensor)
    assert (back.stride(), back.storage_offset()) == (tensor.stride(), tensor.storage_offset())
    assert back.untyped_storage().nbytes() == tensor.untyped_storage().nbytes()


def test_shared_memory_stays_shared():
    base = torch.zeros(10)
    arena, text = arena_of([base[:5], base[3:]])
    with arena:
        first, second = View(arena.fd, arena.layout).decode(text)
        first[4] = 1
        assert second[1] == 1


def test_changes_show_and_can_be_read():
    inputs = [torch.zeros(4), torch.ones(4)]
    arena, text = arena_of(inputs)
    with arena:
        assert arena.changed() == []
        View(arena.fd, arena.layout).decode(text)[1].add_(1)
        assert arena.changed() == [1]
        assert torch.equal(arena.decode(text)[1], torch.full((4,), 2.0))
    assert torch.equal(inputs[1], torch.ones(4))


@pytest.mark.parametrize("where", [-1, 16, -4096, 4000])
def test_a_write_beside_a_buffer_shows(where):
    arena, _ = arena_of([torch.zeros(4)])
    with arena:
        assert arena.guards_hold()
        place = arena.layout[0][0] + where
        os.pwrite(arena.fd, bytes([arena._bytes[place] ^ 255]), place)
        assert not arena.guards_hold()


def test_outputs_come_back_and_are_never_right_by_being_left_alone():
    outputs = [torch.randn(3, 5), torch.arange(7), torch.empty(0)]
    wanted = [(tuple(output.shape), output.dtype) for output in outputs]
    arena, _ = arena_of([], wanted)
    with arena:
        assert not torch.equal(arena.outputs(wanted)[1], outputs[1])
        assert np.count_nonzero(arena.outputs(wanted)[1].numpy())
        View(arena.fd, arena.layout).write_outputs([outputs[0].t().contiguous().t(), *outputs[1:]])
        assert all(map(torch.equal, arena.outputs(wanted), outputs))


def test_outputs_that_are_too_large_are_not_written():
    arena, _ = arena_of([torch.zeros(3)], [((4,), torch.float32)])
    with arena:
        View(arena.fd, arena.layout).write_outputs([torch.zeros(1000)])
        assert arena.guards_hold()
        assert arena.changed() == []


def test_the_arena_cannot_be_resized():
    arena, _ = arena_of([torch.zeros(3)])
    with arena, pytest.raises(PermissionError):
        os.ftruncate(arena.fd, 1 << 20)


def test_closing_gives_the_memory_back():
    def held():
        maps = Path("/proc/self/maps").read_text()
        return len(os.listdir("/proc/self/fd")), maps.count("tritonrl-arena")

    before = held()
    arena, _ = arena_of([torch.zeros(3)])
    assert held() != before
    arena.close()
    arena.close()
    assert held() == before


def test_what_cannot_be_sent_is_refused():
    with pytest.raises(TypeError, match="a object cannot be sent"):
        Packer().encode(object())

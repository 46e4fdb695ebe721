"""Input cases for the replay worker: what goes into a run, and what it must have left.

What a candidate must not find is never mapped while its kernels run. A case that is small enough is worked out once,
on the device, before any of them; then it lies in an anonymous file that no process maps, so there is no address by
which a kernel could reach it, and is read back when the kernels have ended. A larger case is made anew each time, its
answers after the run: that is faster than sending them.
"""

from __future__ import annotations

import copy
import gc
import os
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from tritonrl_core.bench.ambient import ieee, own_default_dtype, seeded
from tritonrl_core.bench.device_memory import wipe
from tritonrl_core.bench.reference import Materials, Reference
from tritonrl_core.bench.references import named_inputs, raw_bytes
from tritonrl_core.bench.walk import Given, given_by
from tritonrl_core.types import InputCase, Task, content_key

MOST_CASE = 24 << 20
"""Bytes of a case, answers included, up to which it is kept. A larger one takes longer to send than to make."""

MOST_KEPT = 1 << 30
"""Bytes of all cases that one worker keeps; the least recently used go first."""

MOST_TASKS = 256
ALIGNMENT = 64


@dataclass(frozen=True)
class Answers:
    """What a run is compared with. `exact` and `native` are the outputs in double and in working precision; `inputs`
    and `state` are as they were before the run, by name (`input 0`, a parameter's own); `after` holds those that the
    reference itself changes, by name (parameters as `parameter x`), as it leaves them.
    """

    exact: list[Tensor]
    native: list[Tensor]
    inputs: Mapping[str, Tensor]
    state: Mapping[str, Tensor]
    after: Mapping[str, Tensor]

    def wipe(self) -> None:
        """Overwrite all of it."""
        wipe([*self.exact, *self.native, *self.inputs.values(), *self.state.values(), *self.after.values()])


class Cases:
    """Cases on one device. `clear` belongs after every use of what they give: then none of it is left."""

    def __init__(self, device: torch.device, *, most_case: int = MOST_CASE, most_kept: int = MOST_KEPT) -> None:
        self.device = device
        self._most_case, self._most_kept = most_case, most_kept
        self._references: OrderedDict[str, Reference] = OrderedDict()
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._changed: OrderedDict[str, frozenset[str]] = OrderedDict()

    def materials(self, task: Task, case: InputCase) -> Materials:
        """The reference with its tensors on the device. Raises `TaskError`."""
        if task.key not in self._references:
            self._references[task.key] = Reference(task)
            if len(self._references) > MOST_TASKS:
                self._references.popitem(last=False)
        self._references.move_to_end(task.key)
        return self._references[task.key].materialise(case, self.device)

    def given(self, task: Task, case: InputCase) -> Given:
        """What goes into a run: on the host where the case is kept, else on the device. Raises `TaskError`."""
        kept = self._known(task, case)
        return kept.given() if kept else given_by(self.materials(task, case))

    def answers(self, task: Task, case: InputCase) -> Answers:
        """What a run must have left, on the device. To be asked for only when the candidate's kernels have ended."""
        kept = self._known(task, case)
        return kept.answers(self.device) if kept else self._work_out(task, case)

    def clear(self) -> None:
        """Give all free memory back to the driver: a pointer into it is a fault from then on."""
        gc.collect(0)
        if self.device.type == "cuda":
            torch.cuda.synchronize()
            torch.cuda.empty_cache()

    def _known(self, task: Task, case: InputCase) -> _Kept | None:
        """The case as it is kept, worked out now where it is new; None where it is too large."""
        key = content_key(task.key, case.signature, case.distribution, case.seed)
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        if key in self._changed:
            return None
        materials = self.materials(task, case)
        given = given_by(materials)
        if _nbytes([*given.inputs, *given.init_inputs, *given.state.values()]) > self._most_case // 2:
            self._changed[key] = frozenset(_after(materials))
            wipe(given.inputs)
            return None
        answers = _answers(materials, None)
        kept = _Kept.write(given, answers)
        answers.wipe()
        if kept.nbytes > self._most_case:
            self._changed[key] = frozenset(answers.after)
            kept.close()
            return None
        self._kept[key] = kept
        while sum(item.nbytes for item in self._kept.values()) > self._most_kept and len(self._kept) > 1:
            self._kept.popitem(last=False)[1].close()
        return kept

    def _work_out(self, task: Task, case: InputCase) -> Answers:
        key = content_key(task.key, case.signature, case.distribution, case.seed)
        return _answers(self.materials(task, case), self._changed.get(key))


def _answers(materials: Materials, changed: frozenset[str] | None) -> Answers:
    """`changed` is what the reference is known to change; None where that is not known."""
    exact, native = materials.expected("fp64"), materials.expected("native")
    after = _after(materials) if changed is None or changed else {}
    return Answers(exact, native, named_inputs(materials.inputs), materials.state, after)


def _after(materials: Materials) -> dict[str, Tensor]:
    """Inputs and state after the reference's forward, by name; only what it changed."""
    model, inputs = copy.deepcopy((materials.model, materials.inputs))
    place = materials.device
    with seeded(materials.case.seed, place), ieee(place), own_default_dtype(), torch.no_grad():
        model(*inputs)
    now = {**named_inputs(inputs), **{f"parameter {name}": value for name, value in model.state_dict().items()}}
    state = {f"parameter {name}": value for name, value in materials.state.items()}
    before = {**named_inputs(materials.inputs), **state}
    return {name: value for name, value in now.items() if not same_bits(value, before[name])}


def same_bits(one: Tensor, other: Tensor) -> bool:
    """Equal bit for bit, so that NaN equals itself."""
    mine, theirs = (raw_bytes(tensor) for tensor in (one, other))
    return bool(torch.equal(mine, theirs))


@dataclass(frozen=True, slots=True)
class _Lies:
    """How a tensor lies in a block: its storage's first byte and size, and its own shape, stride and offset there."""

    start: int
    nbytes: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]
    offset: int
    dtype: torch.dtype

    def tensor(self, memory: Tensor, start: int = 0) -> Tensor:
        """The tensor, where its storage begins at byte `start` of some memory."""
        empty = torch.empty(0, dtype=self.dtype, device=memory.device)
        place = start // self.dtype.itemsize + self.offset
        return empty.set_(memory.untyped_storage(), place, self.shape, self.stride)


class _Kept:
    """One case in an unmapped file."""

    def __init__(self, fd: int, nbytes: int, lies: Mapping[str, Any]) -> None:
        self._fd, self.nbytes, self._lies = fd, nbytes, lies

    @classmethod
    def write(cls, given: Given, answers: Answers) -> _Kept:
        """Keep a case. The tensors may be on any device."""
        packer = _Packer()
        lies: dict[str, Any] = {
            "inputs": dict(zip(answers.inputs, map(packer.add, given.inputs), strict=True)),
            "init_inputs": [packer.add(tensor) for tensor in given.init_inputs],
            "state": {name: packer.add(tensor) for name, tensor in given.state.items()},
        }
        lies["exact"] = [packer.add(tensor.contiguous()) for tensor in answers.exact]
        lies["native"] = [packer.add(tensor.contiguous()) for tensor in answers.native]
        lies["after"] = {name: packer.add(tensor.contiguous()) for name, tensor in answers.after.items()}
        return cls(packer.file(), packer.size, lies)

    def given(self) -> Given:
        """What goes into a run, on the host, each storage by itself as the reference made it. The answers stay in the
        file."""
        storages: dict[int, Tensor] = {}

        def tensor(lie: _Lies) -> Tensor:
            if lie.start not in storages or not lie.nbytes:
                storages[lie.start] = self._read(lie.start, lie.nbytes)
            return lie.tensor(storages[lie.start])

        lies = self._lies
        return Given(
            [tensor(lie) for lie in lies["inputs"].values()],
            [tensor(lie) for lie in lies["init_inputs"]],
            {name: tensor(lie) for name, lie in lies["state"].items()},
        )

    def answers(self, device: torch.device) -> Answers:
        """All that a run is compared with, sent to the device in one piece."""
        block = self._read(0, self.nbytes).to(device)
        lies = self._lies

        def named(part: str) -> dict[str, Tensor]:
            return {name: lie.tensor(block, lie.start) for name, lie in lies[part].items()}

        exact, native = ([lie.tensor(block, lie.start) for lie in lies[part]] for part in ("exact", "native"))
        return Answers(exact, native, named("inputs"), named("state"), named("after"))

    def close(self) -> None:
        os.close(self._fd)

    def _read(self, start: int, size: int) -> Tensor:
        block = torch.empty(size, dtype=torch.uint8)
        view, done = block.numpy().data, 0
        while done < size:
            done += os.preadv(self._fd, [view[done:]], start + done)
        return block


class _Packer:
    """Lays storages one after the other; one that several tensors share is laid once."""

    def __init__(self) -> None:
        self.size = 0
        self._parts: list[tuple[int, Tensor]] = []
        self._starts: dict[tuple[int, int], int] = {}

    def add(self, tensor: Tensor) -> _Lies:
        storage = tensor.untyped_storage()
        name = (storage.data_ptr(), storage.nbytes())
        if name not in self._starts or not storage.nbytes():
            self._starts[name] = self.size
            raw = torch.empty(0, dtype=torch.uint8, device=tensor.device).set_(storage, 0, (storage.nbytes(),), (1,))
            self._parts.append((self.size, raw))
            self.size = -(-(self.size + storage.nbytes()) // ALIGNMENT) * ALIGNMENT
        shape, stride = tuple(tensor.shape), tuple(tensor.stride())
        return _Lies(self._starts[name], storage.nbytes(), shape, stride, int(tensor.storage_offset()), tensor.dtype)

    def file(self) -> int:
        """All of it in an anonymous file."""
        fd = os.memfd_create("tritonrl-case", os.MFD_CLOEXEC)
        os.ftruncate(fd, self.size)
        for start, raw in self._parts:
            data, done = raw.cpu().numpy().data, 0
            while done < len(data):
                done += os.pwrite(fd, data[done:], start + done)
        return fd


def _nbytes(tensors: Sequence[Tensor]) -> int:
    return sum(int(tensor.untyped_storage().nbytes()) for tensor in tensors)

"""Input cases for the replay worker: what goes into a run, and what it must have left.

What a candidate must not find is never mapped while its kernels run. A case that is small enough is worked out once,
on the device, before any of them; then it lies in an anonymous file that no process maps, so there is no address by
which a kernel could reach it, and is read back when the kernels have ended. The workers of one GPU share that file. A
larger case is made anew each time, its answers after the run: that is faster than sending them.
"""

from __future__ import annotations

import copy
import gc
import json
import os
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import accumulate

import torch
from torch import Tensor

from tritonrl_core.bench.references.ambient import ieee, own_default_dtype, seeded
from tritonrl_core.bench.references.prepared import named_inputs, raw_bytes
from tritonrl_core.bench.references.reference import Materials, Reference
from tritonrl_core.bench.replay.device_memory import wipe
from tritonrl_core.bench.replay.kept_cases import Answers, Kept, labelled, packed
from tritonrl_core.bench.replay.shelf import ALIGNMENT, Box, Shelf, new_file
from tritonrl_core.bench.walk import Given, given_by
from tritonrl_core.types import InputCase, Task, content_key

MOST_CASE = 24 << 20
"""Bytes of a case, answers included, up to which it is kept. A larger one takes longer to send than to make."""

MOST_TASKS = 256
MOST_KNOWN = 1 << 16


class Cases:
    """Cases on one device. `clear` belongs after every use of what they give: then none of it is left."""

    def __init__(self, device: torch.device, shelf: Shelf | None = None, *, most_case: int = MOST_CASE) -> None:
        """`shelf` may be shared with others of the same kind of device; without it there is one of its own."""
        self.device = device
        self.give_way: Callable[[], object] = lambda: None
        """Called between the parts of working a case out: whoever waits to have the GPU alone goes first."""
        self._most_case = most_case
        self._references: OrderedDict[str, Reference] = OrderedDict()
        self._shelf = shelf or _own_shelf()
        self._kept: dict[str, Kept] = {}
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
        kept = self.kept(task, case)
        return kept.given() if kept else given_by(self.materials(task, case))

    def answers(self, task: Task, case: InputCase, *, double: bool = True) -> Answers:
        """What a run must have left, on the device. To be asked for only when the candidate's kernels have ended.

        Without `double` the reference runs in its working dtype only, and `exact` is `native`.
        """
        kept = self.kept(task, case)
        return kept.answers(*self._sent([(kept, kept.nbytes)])) if kept else self._work_out(task, case, double)

    def given_together(self, kept: Sequence[Kept]) -> list[Given]:
        """What goes into several runs, on the device, sent there in one piece; nothing else of theirs is."""
        block, *starts = self._sent([(one, one.given_nbytes) for one in kept])
        made = [one.given(partial(_part, block, start)) for one, start in zip(kept, starts, strict=True)]
        wipe([block])
        return made

    def answers_together(self, kept: Sequence[Kept]) -> list[Answers]:
        """What several runs must have left, sent in one piece. To be asked for when the last of their kernels has
        ended."""
        block, *starts = self._sent([(one, one.nbytes) for one in kept])
        return [one.answers(block, start) for one, start in zip(kept, starts, strict=True)]

    def clear(self) -> None:
        """Give all free memory back to the driver: a pointer into it is a fault from then on."""
        gc.collect(0)
        if self.device.type == "cuda":
            torch.cuda.synchronize()
            _clear_workspaces()
            torch.cuda.empty_cache()

    def kept(self, task: Task, case: InputCase) -> Kept | None:
        """The case as it is kept, worked out now where it is new; None where it is too large. Raises `TaskError`."""
        key = content_key(task.key, case.signature, case.distribution, case.seed)
        found = self._found(key)
        if found is not None:
            return found
        if key in self._changed:
            return None
        materials = self.materials(task, case)
        given = given_by(materials)
        if _nbytes([*given.inputs, *given.init_inputs, *given.state.values()]) > self._most_case // 2:
            self._remember(key, _after(materials))
            wipe(given.inputs)
            return None
        self.give_way()
        answers = self._answers(materials, None)
        self.give_way()
        tensors = [*answers.exact, *answers.native, *answers.inputs.values(), *answers.state.values()]
        if _nbytes([*tensors, *answers.after.values()]) > self._most_case:
            self._remember(key, answers.after)
            answers.wipe()
            return None
        self._shelf.put(*packed(key, given, answers))
        answers.wipe()
        return self._found(key)

    def disown(self) -> None:
        """Let nobody use a case any more that this process worked out: it is not what it was."""
        self._shelf.put(json.dumps({"disowned": os.getpid()}).encode(), Box())

    def _found(self, key: str) -> Kept | None:
        """The case where it is on the shelf, whoever put it there. Looked at each time: it may have been disowned."""
        self._look()
        found = self._kept.get(key)
        if found is not None and found.place < self._shelf.oldest:
            self._kept = {name: kept for name, kept in self._kept.items() if kept.place >= self._shelf.oldest}
            return None
        return found

    def _look(self) -> None:
        for text, place in self._shelf.look():
            label = json.loads(text)
            if "disowned" in label:
                self._kept = {key: kept for key, kept in self._kept.items() if kept.by != label["disowned"]}
            else:
                self._kept[label["key"]] = labelled(self._shelf, place, label)

    def _sent(self, parts: Sequence[tuple[Kept, int]]) -> tuple[Tensor, *tuple[int, ...]]:
        """The first so many bytes of some cases, one after the other on the device, and where each begins there."""
        starts = list(accumulate((-(-nbytes // ALIGNMENT) * ALIGNMENT for _, nbytes in parts), initial=0))
        block = torch.empty(starts.pop(), dtype=torch.uint8)
        for (kept, nbytes), start in zip(parts, starts, strict=True):
            self._shelf.read(kept.place, nbytes, block[start : start + nbytes])
        return block.to(self.device), *starts

    def _remember(self, key: str, after: Mapping[str, Tensor]) -> None:
        """What the reference changes in a case that is not kept."""
        self._changed[key] = frozenset(after)
        if len(self._changed) > MOST_KNOWN:
            self._changed.popitem(last=False)

    def _work_out(self, task: Task, case: InputCase, double: bool) -> Answers:
        key = content_key(task.key, case.signature, case.distribution, case.seed)
        return self._answers(self.materials(task, case), self._changed.get(key), double)

    def _answers(self, materials: Materials, changed: frozenset[str] | None, double: bool = True) -> Answers:
        """`changed` is what the reference is known to change; None where that is not known."""
        native = materials.expected("native")
        self.give_way()
        exact = materials.expected("fp64") if double else native
        self.give_way()
        after = _after(materials) if changed is None or changed else {}
        no_double = materials.fp64_fallback if double else ""
        return Answers(exact, native, named_inputs(materials.inputs), materials.state, after, no_double)


def _clear_workspaces() -> None:
    """What cuBLAS keeps between products may be a part of one: 32 MiB on a Hopper."""
    clear = getattr(torch._C, "_cuda_clearCublasWorkspaces", None)  # not there in builds without CUDA
    if clear is not None:
        clear()


def _after(materials: Materials) -> dict[str, Tensor]:
    """Inputs and state after the reference's forward, by name; only what it changed."""
    model, inputs = copy.deepcopy((materials.model, materials.inputs))
    place = materials.device
    with seeded(materials.case.seed, place), ieee(place), own_default_dtype(), torch.no_grad():
        model(*inputs)
    now = {**named_inputs(inputs), **{f"parameter {name}": value for name, value in model.state_dict().items()}}
    state = {f"parameter {name}": value for name, value in materials.state.items()}
    before = {**named_inputs(materials.inputs), **state}
    changed = differing([(value, before[name]) for name, value in now.items()])
    return {name: value for (name, value), differs in zip(now.items(), changed, strict=True) if differs}


def same_bits(one: Tensor, other: Tensor) -> bool:
    """Equal bit for bit, so that NaN equals itself."""
    return not differing([(one, other)])[0]


def differing(pairs: Sequence[tuple[Tensor, Tensor]]) -> list[bool]:
    """Which pairs of tensors on one device differ in any bit; waits for the device once."""
    flags = differences(pairs)
    asked = [flag for flag in flags if isinstance(flag, Tensor)]
    answers = iter(torch.stack(asked).tolist() if asked else [])
    return [bool(next(answers)) if isinstance(flag, Tensor) else flag for flag in flags]


def differences(pairs: Sequence[tuple[Tensor, Tensor]]) -> list[Tensor | bool]:
    """The same, still on the device but where lengths tell."""
    return [_differs(*map(raw_bytes, pair)) for pair in pairs]


def _differs(one: Tensor, other: Tensor) -> Tensor | bool:
    """Whether two strings of bytes differ: as a tensor, or at once where their lengths tell."""
    if one.numel() != other.numel() or not one.numel():
        return one.numel() != other.numel()
    whole = one.numel() // 8 * 8
    words = (one[:whole].view(torch.int64) != other[:whole].view(torch.int64)).any()
    return words if whole == one.numel() else words | (one[whole:] != other[whole:]).any()


def _own_shelf() -> Shelf:
    file = new_file("tritonrl-case")
    try:
        return Shelf(file)
    finally:
        os.close(file)


def _part(block: Tensor, first: int, start: int, nbytes: int) -> Tensor:
    """A copy of some bytes of the case that begins at byte `first` of a block."""
    return block[first + start : first + start + nbytes].clone()


def _nbytes(tensors: Sequence[Tensor]) -> int:
    return sum(int(tensor.untyped_storage().nbytes()) for tensor in tensors)

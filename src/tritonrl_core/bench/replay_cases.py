"""Input cases for the replay worker: what goes into a run, and what it must have left.

What a candidate must not find is never mapped while its kernels run. A case that is small enough is worked out once,
on the device, before any of them; then it lies in an anonymous file that no process maps, so there is no address by
which a kernel could reach it, and is read back when the kernels have ended. A larger case is made anew each time, its
answers after the run: that is faster than sending them.
"""

from __future__ import annotations

import copy
import gc
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from tritonrl_core.bench.ambient import ieee, own_default_dtype, seeded
from tritonrl_core.bench.device_memory import wipe
from tritonrl_core.bench.reference import Materials, Reference
from tritonrl_core.bench.references import named_inputs, raw_bytes
from tritonrl_core.bench.shelf import Box, Lies, Shelf
from tritonrl_core.bench.walk import Given, given_by
from tritonrl_core.types import InputCase, Task, content_key

MOST_CASE = 24 << 20
"""Bytes of a case, answers included, up to which it is kept. A larger one takes longer to send than to make."""

MOST_KEPT = 1 << 30
"""Bytes of all cases that one worker keeps; the least recently used go first."""

MOST_TASKS = 256
MOST_KNOWN = 1 << 16


@dataclass(frozen=True)
class Answers:
    """What a run is compared with. `exact` and `native` are the outputs in double and in working precision; `inputs`
    and `state` are as they were before the run, by name (`input 0`, a parameter's own); `after` holds those that the
    reference itself changes, by name (parameters as `parameter x`), as it leaves them. `no_double` says why `exact` is
    in working precision too, where an operator has no other.
    """

    exact: list[Tensor]
    native: list[Tensor]
    inputs: Mapping[str, Tensor]
    state: Mapping[str, Tensor]
    after: Mapping[str, Tensor]
    no_double: str = ""

    def wipe(self) -> None:
        """Overwrite all of it."""
        wipe([*self.exact, *self.native, *self.inputs.values(), *self.state.values(), *self.after.values()])


class Cases:
    """Cases on one device. `clear` belongs after every use of what they give: then none of it is left."""

    def __init__(self, device: torch.device, *, most_case: int = MOST_CASE, most_kept: int = MOST_KEPT) -> None:
        self.device = device
        self.give_way: Callable[[], object] = lambda: None
        """Called between the parts of working a case out: whoever waits to have the GPU alone goes first."""
        self._most_case, self._most_kept = most_case, most_kept
        self._references: OrderedDict[str, Reference] = OrderedDict()
        self._shelf = Shelf("tritonrl-case")
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

    def answers(self, task: Task, case: InputCase, *, double: bool = True) -> Answers:
        """What a run must have left, on the device. To be asked for only when the candidate's kernels have ended.

        Without `double` the reference runs in its working dtype only, and `exact` is `native`.
        """
        kept = self._known(task, case)
        return kept.answers(self.device) if kept else self._work_out(task, case, double)

    def clear(self) -> None:
        """Give all free memory back to the driver: a pointer into it is a fault from then on."""
        gc.collect(0)
        if self.device.type == "cuda":
            torch.cuda.synchronize()
            _clear_workspaces()
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
            self._remember(key, _after(materials))
            wipe(given.inputs)
            return None
        self.give_way()
        answers = _answers(materials, None)
        self.give_way()
        tensors = [*answers.exact, *answers.native, *answers.inputs.values(), *answers.state.values()]
        if _nbytes([*tensors, *answers.after.values()]) > self._most_case:
            self._remember(key, answers.after)
            answers.wipe()
            return None
        kept = _Kept(self._shelf, given, answers)
        answers.wipe()
        self._kept[key] = kept
        while sum(item.nbytes for item in self._kept.values()) > self._most_kept and len(self._kept) > 1:
            self._kept.popitem(last=False)[1].remove()
        return kept

    def _remember(self, key: str, after: Mapping[str, Tensor]) -> None:
        """What the reference changes in a case that is not kept."""
        self._changed[key] = frozenset(after)
        if len(self._changed) > MOST_KNOWN:
            self._changed.popitem(last=False)

    def _work_out(self, task: Task, case: InputCase, double: bool) -> Answers:
        key = content_key(task.key, case.signature, case.distribution, case.seed)
        return _answers(self.materials(task, case), self._changed.get(key), double)


def _clear_workspaces() -> None:
    """What cuBLAS keeps between products may be a part of one: 32 MiB on a Hopper."""
    clear = getattr(torch._C, "_cuda_clearCublasWorkspaces", None)  # not there in builds without CUDA
    if clear is not None:
        clear()


def _answers(materials: Materials, changed: frozenset[str] | None, double: bool = True) -> Answers:
    """`changed` is what the reference is known to change; None where that is not known."""
    native = materials.expected("native")
    exact = materials.expected("fp64") if double else native
    after = _after(materials) if changed is None or changed else {}
    no_double = materials.fp64_fallback if double else ""
    return Answers(exact, native, named_inputs(materials.inputs), materials.state, after, no_double)


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


class _Kept:
    """One case on the shelf."""

    def __init__(self, shelf: Shelf, given: Given, answers: Answers) -> None:
        """Put a case there. The tensors may be on any device."""
        box = Box()
        self._inputs = dict(zip(answers.inputs, map(box.add, given.inputs), strict=True))
        self._init_inputs = [box.add(tensor) for tensor in given.init_inputs]
        self._state = {name: box.add(tensor) for name, tensor in given.state.items()}
        self._exact = [box.add(tensor.contiguous()) for tensor in answers.exact]
        self._native = [box.add(tensor.contiguous()) for tensor in answers.native]
        self._after = {name: box.add(tensor.contiguous()) for name, tensor in answers.after.items()}
        self._no_double = answers.no_double
        self.nbytes = box.nbytes
        self._shelf, self._place = shelf, shelf.put(box)

    def given(self) -> Given:
        """What goes into a run, on the host, each storage by itself as the reference made it. The answers stay where
        they are."""
        storages: dict[tuple[int, int], Tensor] = {}

        def tensor(lie: Lies) -> Tensor:
            where = lie.start, lie.nbytes  # an empty storage begins where the next one does
            if where not in storages:
                storages[where] = self._shelf.read(self._place + lie.start, lie.nbytes)
            return lie.tensor(storages[where])

        state = {name: tensor(lie) for name, lie in self._state.items()}
        return Given([*map(tensor, self._inputs.values())], [*map(tensor, self._init_inputs)], state)

    def answers(self, device: torch.device) -> Answers:
        """All that a run is compared with, sent to the device in one piece."""
        block = self._shelf.read(self._place, self.nbytes).to(device)

        def made(lies: Sequence[Lies]) -> list[Tensor]:
            return [lie.tensor(block, lie.start) for lie in lies]

        def named(lies: Mapping[str, Lies]) -> dict[str, Tensor]:
            return {name: lie.tensor(block, lie.start) for name, lie in lies.items()}

        return Answers(
            made(self._exact), made(self._native), named(self._inputs), named(self._state), named(self._after),
            self._no_double,
        )  # fmt: skip

    def remove(self) -> None:
        """Take it off the shelf."""
        self._shelf.drop(self._place, self.nbytes)


def _nbytes(tensors: Sequence[Tensor]) -> int:
    return sum(int(tensor.untyped_storage().nbytes()) for tensor in tensors)

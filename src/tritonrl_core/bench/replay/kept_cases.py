"""A case as it lies on the shelf: what goes into a run and what it must leave, as one box with a label.

What each tensor means is told here; who makes cases and who may have them is `replay.cases`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from tritonrl_core.bench.replay.device_memory import wipe
from tritonrl_core.bench.replay.shelf import Box, Lies, Shelf, lies
from tritonrl_core.bench.walk import Given


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

    def tensors(self) -> list[Tensor]:
        """All of it."""
        return [*self.exact, *self.native, *self.inputs.values(), *self.state.values(), *self.after.values()]

    def wipe(self) -> None:
        """Overwrite all of it."""
        wipe(self.tensors())


@dataclass(frozen=True)
class Kept:
    """One case on the shelf. What goes into a run lies before the answers. `by` is the process that worked it out."""

    shelf: Shelf
    place: int
    by: int
    given_nbytes: int
    nbytes: int
    named: Mapping[str, Mapping[str, Lies]]
    listed: Mapping[str, Sequence[Lies]]
    no_double: str

    def given(self, part: Callable[[int, int], Tensor] | None = None) -> Given:
        """What goes into a run, each storage by itself as the reference made it. `part` gives a copy of so many bytes
        from a byte of the case on; without it they are read to the host. The answers stay where they are."""
        part = part or (lambda start, nbytes: self.shelf.read(self.place + start, nbytes))
        storages: dict[tuple[int, int], Tensor] = {}

        def tensor(lie: Lies) -> Tensor:
            where = lie.start, lie.nbytes  # an empty storage begins where the next one does
            if where not in storages:
                storages[where] = part(*where)
            return lie.tensor(storages[where])

        state = {name: tensor(lie) for name, lie in self.named["state"].items()}
        inputs = [*map(tensor, self.named["inputs"].values())]
        return Given(inputs, [*map(tensor, self.listed["init_inputs"])], state)

    def answers(self, block: Tensor, start: int) -> Answers:
        """All that a run is compared with, where the case lies in a block from a byte on."""

        def made(name: str) -> list[Tensor]:
            return [lie.tensor(block, start + lie.start) for lie in self.listed[name]]

        def named(name: str) -> dict[str, Tensor]:
            return {key: lie.tensor(block, start + lie.start) for key, lie in self.named[name].items()}

        return Answers(
            made("exact"), made("native"), named("inputs"), named("state"), named("after"), self.no_double
        )  # fmt: skip


def packed(key: str, given: Given, answers: Answers) -> tuple[bytes, Box]:
    """A case as a box, and a label of which `labelled` makes a `Kept`. The tensors may be on any device."""
    box = Box()
    inputs = dict(zip(answers.inputs, map(box.add, given.inputs), strict=True))
    init_inputs = [box.add(tensor) for tensor in given.init_inputs]
    state = {name: box.add(tensor) for name, tensor in given.state.items()}
    given_nbytes = box.nbytes
    exact, native = ([box.add(one.contiguous()) for one in part] for part in (answers.exact, answers.native))
    after = {name: box.add(tensor.contiguous()) for name, tensor in answers.after.items()}
    named = {"inputs": inputs, "state": state, "after": after}
    listed = {"init_inputs": init_inputs, "exact": exact, "native": native}
    label = {
        "key": key, "by": os.getpid(), "given_nbytes": given_nbytes, "nbytes": box.nbytes,
        "named": {name: {key: lie.data() for key, lie in part.items()} for name, part in named.items()},
        "listed": {name: [lie.data() for lie in part] for name, part in listed.items()},
        "no_double": answers.no_double,
    }  # fmt: skip
    return json.dumps(label).encode(), box


def labelled(shelf: Shelf, place: int, label: Mapping[str, Any]) -> Kept:
    """The case with this label, whose box begins at a place."""
    named = {name: {key: lies(data) for key, data in part.items()} for name, part in label["named"].items()}
    listed = {name: [lies(data) for data in part] for name, part in label["listed"].items()}
    by, given_nbytes, nbytes = label["by"], label["given_nbytes"], label["nbytes"]
    return Kept(shelf, place, by, given_nbytes, nbytes, named, listed, label["no_double"])

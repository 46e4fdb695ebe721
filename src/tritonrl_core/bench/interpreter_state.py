"""Giving a candidate that is interpreted the reference's parameters and buffers, by the rule of `bench.parameters`.

A constructor may compute with its parameters (pack, transpose, fuse them). So the model is constructed once to learn
which of its tensors is which, and where it keeps anything beside them once more, with each parameter holding the
reference's values from the moment it is registered. What is not matched keeps what the constructor gave it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from tritonrl_core.bench.parameters import MOVED, Created, match, named_tensors


def construct(make: Callable[[], Any], state: Mapping[str, Tensor], seed: int) -> tuple[Any, list[str]]:
    """Construct a candidate's model under the seed, with its parameters pointing at the reference's tensors (no copy).

    Gives the model, and the names of the reference's tensors that found no place in it.
    """
    created = Created()
    torch.manual_seed(seed)
    with _watching(created):
        model = make()
    if not isinstance(model, nn.Module) or not state:
        return model, []
    own = named_tensors(model, created)
    pairs = match(_shapes(own), _shapes(state))
    bound = {id(own[name]): state[source] for name, source in pairs.items() if _alike(own[name], state[source])}
    if _keeps_more(model, bound):
        torch.manual_seed(seed)
        finals = [_final(tensor) for tensor in created.tensors]
        pinning = _Pinning({place: bound[id(tensor)] for place, tensor in enumerate(finals) if id(tensor) in bound})
        with _watching(pinning), _ReadOnly(pinning.kept):
            model = make()
    else:
        for tensor in own.values():
            if id(tensor) in bound:
                tensor.data = bound[id(tensor)]
    return model, [name for name in state if name not in pairs.values()]


class _Pinning(Created):
    """Gives tensors their values as they are registered; `places` counts registrations, as the first time did."""

    def __init__(self, places: Mapping[int, Tensor]) -> None:
        super().__init__()
        self._places = places
        self.kept: set[int] = set()

    def _seen(self, module: nn.Module, name: str, tensor: Tensor | None) -> None:
        place = len(self.tensors)
        super()._seen(module, name, tensor)
        if len(self.tensors) > place and place in self._places and tensor is not None:
            tensor.data = self._places[place]
            self.kept.add(tensor.untyped_storage().data_ptr())


class _ReadOnly(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Operators that would write into one of these storages do nothing: no initialiser overwrites a pinned value."""

    def __init__(self, storages: set[int]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._storages = storages

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        target = args[0] if args else None
        if func._schema.is_mutable and self._holds(target):
            return target
        return func(*args, **(kwargs or {}))

    def _holds(self, target: Any) -> bool:
        return isinstance(target, Tensor) and target.untyped_storage().data_ptr() in self._storages


@contextmanager
def _watching(created: Created) -> Iterator[None]:
    hooks = created.watch()
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _keeps_more(model: nn.Module, bound: Mapping[int, Tensor]) -> bool:
    """Whether the model holds a tensor that is none of those bound: something may have been computed from them."""
    registered = [*model.parameters(), *model.buffers()]
    if any(id(tensor) not in bound for tensor in registered):
        return True
    known = {id(tensor) for tensor in registered}
    return any(
        isinstance(tensor, Tensor) and id(tensor) not in known
        for module in model.modules()
        for tensor in _leaves([value for name, value in vars(module).items() if name not in _BOOKKEEPING])
    )


_BOOKKEEPING = frozenset(vars(nn.Module()))


def _final(tensor: Tensor) -> Tensor:
    """What a tensor was moved to in the end."""
    while (moved := getattr(tensor, MOVED, None)) is not None:
        tensor = moved
    return tensor


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, list | tuple):
        for part in value:
            yield from _leaves(part)
    elif isinstance(value, dict):
        for part in value.values():
            yield from _leaves(part)
    else:
        yield value


def _alike(mine: Tensor, theirs: Tensor) -> bool:
    return mine.dtype.is_floating_point == theirs.dtype.is_floating_point


def _shapes(tensors: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in tensors.items()}

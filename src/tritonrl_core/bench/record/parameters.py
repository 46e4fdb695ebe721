"""Which of a candidate's tensors are the reference's parameters: by name, else by shape and order where that is plain.

Runs in the recording child after `ModelNew.__init__`, on fake tensors: nothing here knows a value.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

Shape = tuple[int, ...]

MOVED = "_moved_to"
"""Attribute of a parameter that was moved: what it was moved to."""


@dataclass
class Created:
    """Parameters and buffers in the order in which a module's `__init__` registered them, also of modules not kept."""

    tensors: list[torch.Tensor] = field(default_factory=list)

    def watch(self) -> list[Any]:
        """Begin to take note; gives the handles to remove."""
        from torch.nn.modules.module import register_module_buffer_registration_hook as on_buffer
        from torch.nn.modules.module import register_module_parameter_registration_hook as on_parameter

        return [on_parameter(self._seen), on_buffer(self._seen)]

    def _seen(self, module: nn.Module, name: str, tensor: torch.Tensor | None) -> None:
        if tensor is not None and all(tensor is not other for other in self.tensors):
            self.tensors.append(tensor)


def match(own: Mapping[str, Shape], wanted: Mapping[str, Shape]) -> dict[str, str]:
    """Own name → the reference's name. First equal names with equal shapes; then, shape by shape, the rest in order,
    where as many are left over on both sides.
    """
    bound = {name: name for name, shape in own.items() if wanted.get(name) == shape}
    left = [name for name in own if name not in bound]
    open_names = [name for name in wanted if name not in bound]
    for shape in dict.fromkeys(wanted[name] for name in open_names):
        ours = [name for name in left if own[name] == shape]
        theirs = [name for name in open_names if wanted[name] == shape]
        if len(ours) == len(theirs):
            bound.update(zip(ours, theirs, strict=True))
    return bound


def named_tensors(model: nn.Module, created: Created) -> dict[str, torch.Tensor]:
    """The model's parameters and buffers by name, and those that were registered on the way but are not kept.

    In the order of their registration, which is the order of a state dict. A tensor comes once, under its first name;
    one that was moved to another device or dtype comes as what it was moved to.
    """
    kept = [*model.named_parameters(remove_duplicate=False), *model.named_buffers(remove_duplicate=False)]
    names: dict[int, str] = {}
    tensors: dict[int, torch.Tensor] = {}
    for name, tensor in kept:
        names.setdefault(id(tensor), name)
        tensors[id(tensor)] = tensor
    ordered: dict[str, torch.Tensor] = {}
    for number, tensor in enumerate(created.tensors):
        while getattr(tensor, MOVED, None) is not None:
            tensor = getattr(tensor, MOVED)
        ordered.setdefault(names.get(id(tensor), f"({number})"), tensor)
    for key, name in names.items():
        ordered.setdefault(name, tensors[key])
    return ordered

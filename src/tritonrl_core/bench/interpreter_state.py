"""Giving a candidate that is interpreted the reference's parameters and buffers, by the rule of `bench.parameters`.

What is not matched keeps what the candidate's own constructor gave it, and the story says so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from tritonrl_core.bench.parameters import Created, match, named_tensors


def construct(make: Callable[[], Any], state: Mapping[str, Tensor]) -> tuple[Any, str]:
    """Construct a candidate's model and point its parameters at the reference's tensors (no copy).

    Gives the model, and in a sentence what was not matched ("" where everything was).
    """
    created = Created()
    hooks = created.watch()
    try:
        model = make()
    finally:
        for hook in hooks:
            hook.remove()
    if not isinstance(model, nn.Module):
        return model, ""
    own = named_tensors(model, created)
    pairs = match(_shapes(own), _shapes(state))
    with torch.no_grad():
        for name, source in pairs.items():
            if own[name].dtype.is_floating_point == state[source].dtype.is_floating_point:
                own[name].data = state[source]
    unused = [name for name in state if name not in pairs.values()]
    return model, _story(unused, [name for name in own if name not in pairs])


def _shapes(tensors: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in tensors.items()}


def _story(unused: list[str], unmatched: list[str]) -> str:
    if not unused:
        return ""
    own = f", and the candidate's {_names(unmatched)} kept what the constructor gave" if unmatched else ""
    return f"parameters match by name, else by shape and order: the reference's {_names(unused)} found no place{own}"


def _names(names: list[str]) -> str:
    shown = ", ".join(names[:4])
    return shown if len(names) <= 4 else f"{shown} and {len(names) - 4} more"

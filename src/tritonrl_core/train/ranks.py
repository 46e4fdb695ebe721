"""The ranks that train one model, by DDP or FSDP2: what each may do alone, what only all of them can do together.

FSDP2 leaves each rank a shard of every weight. Whoever samples or saves must put them together first, on all ranks at
the same time. Knows no task and no verdict.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from tritonrl_core.errors import UsageError
from tritonrl_core.train.model import Policy, load_policy, merge_adapters


def check_ranks(environment: Mapping[str, str] = os.environ) -> None:
    """Raise `UsageError` where a launcher asked for what training cannot do, or would do wrong."""
    if _on(environment, "ACCELERATE_USE_DEEPSPEED"):
        raise UsageError(
            "The launcher's configuration asks for DeepSpeed, which training does not do.",
            remedy="Use `tritonrl train --launch fsdp2`.",
        )
    if not _on(environment, "ACCELERATE_USE_FSDP"):
        return
    if environment.get("FSDP_VERSION", "1") != "2":
        raise UsageError(
            "The launcher's configuration asks for FSDP 1, which training does not do.",
            remedy="Set fsdp_version: 2 in it, or use `tritonrl train --launch fsdp2`.",
        )
    if _on(environment, "FSDP_CPU_RAM_EFFICIENT_LOADING"):
        raise UsageError(
            "fsdp_cpu_ram_efficient_loading leaves all ranks but one without weights, and each samples.",
            remedy="Set it to false in the launcher's configuration, as `--launch fsdp2` has it.",
        )


def is_sharded(model: Any) -> bool:
    """Whether FSDP2 has a model's weights in shards."""
    from torch.distributed.fsdp import FSDPModule

    return any(isinstance(module, FSDPModule) for module in model.modules())


@contextmanager
def whole(model: Any) -> Iterator[None]:
    """Every weight whole on every rank while the block runs; all ranks must enter. Nothing where there are no shards.

    Generation needs it: a forward pass through shards takes all ranks, so none could sample at its own pace, and each
    token would gather all weights anew. Memory: the model, once, in the type that it computes in.
    """
    from torch.distributed.fsdp import FSDPModule

    sharded: list[Any] = [module for module in model.modules() if isinstance(module, FSDPModule)]
    # The root and the modules around the blocks (embedding, norm, head) are not resharded after a forward pass anyway.
    blocks = [module for module in sharded if module is not model and any(True for _ in module.children())]
    for module in blocks:
        module.set_reshard_after_forward(False, recurse=False)
    for module in sharded:
        module.unshard()
    try:
        yield
    finally:
        for module in sharded:
            module.reshard()
        for module in blocks:
            module.set_reshard_after_forward(_reshards(), recurse=False)


def trained_policy(trainer: Any, policy: Policy, lora: Any = None, **options: Any) -> Policy | None:
    """The trained model as any loader of `transformers` reads it: whole, with adapters merged. For all ranks to call.

    That is `policy` itself, unless it lies in shards: then the main process puts it together in its memory, in what
    `policy` was loaded from (with `options`), and the other ranks get None.
    """
    if not is_sharded(trainer.model):
        merge_adapters(trainer)
        return policy
    weights = trainer.accelerator.get_state_dict(trainer.model)
    if not trainer.accelerator.is_main_process:
        return None
    fresh = load_policy(policy.source, **options)
    model = fresh.model
    if lora is not None:
        from peft import get_peft_model

        model = get_peft_model(model, lora)
    model.load_state_dict(weights)
    return replace(fresh, model=model.merge_and_unload() if lora is not None else model)


def from_main(items: Sequence[Any]) -> list[Any]:
    """What the main process has, on every rank. Objects must be such as can be pickled."""
    from accelerate.utils import broadcast_object_list

    held = [list(items)]
    broadcast_object_list(held)
    return held[0]


def from_all(items: Sequence[Any]) -> list[Any]:
    """What the ranks have, one after the other, on every rank."""
    from accelerate.utils import gather_object

    gathered: list[Any] = gather_object(list(items))
    return gathered


def _reshards() -> bool:
    from accelerate.state import AcceleratorState

    return bool(AcceleratorState().fsdp_plugin.reshard_after_forward)


def _on(environment: Mapping[str, str], name: str) -> bool:
    return environment.get(name, "").lower() in ("1", "true", "yes", "on")

"""From the preset's `train.sft`, `train.grpo` and `train.lora` to TRL's and peft's own objects. Builds no trainer.

The keys are their fields and are checked against them; those that a run sets itself are refused, with the place to
say it.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Set
from dataclasses import fields
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args, get_type_hints

from tritonrl_core.errors import PresetError, did_you_mean

if TYPE_CHECKING:
    from peft import LoraConfig
    from trl import GRPOConfig, SFTConfig

    from tritonrl_core.preset import Preset

DEFAULT_SAVE_STEPS = 10
"""Optimiser steps between two checkpoints, rounded up to whole generations."""

_SET_BY_THE_RUN: Mapping[str, str] = {
    "output_dir": "Use --out.",
    "seed": "Set `seed:` at the top of the preset.",
    "data_seed": "Set `seed:` at the top of the preset.",
    "logging_steps": "Every step is logged.",
    "logging_strategy": "Every step is logged.",
    "disable_tqdm": "The command line draws its own progress bar.",
    "resume_from_checkpoint": "Use --resume.",
    "ignore_data_skip": "A run restores its own place in the data.",
    "eval_strategy": "Set `eval:` in the preset; TRL's own evaluation knows no kernels.",
    "do_eval": "Set `eval:` in the preset; TRL's own evaluation knows no kernels.",
    "load_best_model_at_end": "It needs TRL's own evaluation, which knows no kernels.",
    "fsdp": "Use `tritonrl train --launch fsdp2`.",
    "fsdp_config": "Use `tritonrl train --launch FILE`, with accelerate's configuration.",
    "deepspeed": "Training does DDP and FSDP2: `tritonrl train --launch fsdp2`.",
    "save_only_model": "A checkpoint without the optimiser could not be resumed.",
    "remove_unused_columns": "Every column is needed.",
}
_SET_BY_LORA: Mapping[str, str] = {
    "task_type": "It is CAUSAL_LM.",
    "peft_type": "It is LORA.",
    "inference_mode": "A run trains.",
    "base_model_name_or_path": "Set train.model.",
}
_SET_BY_SFT: Mapping[str, str] = {"model_init_kwargs": "Set train.grpo.model_init_kwargs; both stages load by them."}
_SET_BY_GRPO: Mapping[str, str] = {
    "reward_weights": "Set `reward.alpha`.",
    "multi_objective_aggregation": "Credit is assigned by the hook `assign_credit`.",
    "shuffle_dataset": "Tasks come in an order of their own, by `sample_level` and `seed:`.",
    "num_train_epochs": "Set max_steps.",
    "accelerator_config": "The stream of tasks needs its own.",
    "dataloader_num_workers": "The stream of tasks is read in the trainer's process.",
}


def check_trainer_options(preset: Preset) -> None:
    """Raise `PresetError` where `train.sft` or `train.grpo` is not what TRL takes, or `train.lora` not what peft takes.

    Imports TRL; touches no file.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # of what TRL and transformers rename between themselves
        sft_config(preset, Path("unused"))
        grpo_config(preset, Path("unused"))
        lora_config(preset)


def grpo_config(preset: Preset, folder: Path) -> GRPOConfig:
    """TRL's GRPO options for a run whose checkpoints go to `folder`. Raises `PresetError`."""
    from trl import GRPOConfig

    given = preset.train.grpo
    _check_names("train.grpo", given, GRPOConfig, {**_SET_BY_THE_RUN, **_SET_BY_GRPO})
    given = {**given, **_vllm(given)}
    _check_values("train.grpo", given, GRPOConfig)
    if not isinstance(given.get("max_steps"), int) or given["max_steps"] < 1:
        raise PresetError(
            "train.grpo.max_steps is needed: the stream of tasks has no end.",
            remedy="Set it in the preset (`extends: baseline` has one), or say --set train.grpo.max_steps=40.",
        )
    config = _build(
        "train.grpo",
        GRPOConfig,
        {
            **_common(preset, folder, given),
            "log_completions": False,
            **given,
            "shuffle_dataset": False,
            "ignore_data_skip": True,
            "reward_weights": [1.0, preset.reward.alpha],
            "model_init_kwargs": None,  # the model is loaded before, with these
        },
    )
    _align_checkpoints(config, given)
    return _one_gpu_a_process(config)


def sft_config(preset: Preset, folder: Path) -> SFTConfig:
    """TRL's SFT options for a run whose checkpoints go to `folder`. Raises `PresetError`."""
    from trl import SFTConfig

    given = preset.train.sft
    _check_names("train.sft", given, SFTConfig, {**_SET_BY_THE_RUN, **_SET_BY_SFT})
    _check_values("train.sft", given, SFTConfig)
    options = {
        **_common(preset, folder, given),
        "save_steps": DEFAULT_SAVE_STEPS * 10,
        "completion_only_loss": True,
        "max_length": None,
        **given,
    }
    return _one_gpu_a_process(_build("train.sft", SFTConfig, options))


def lora_config(preset: Preset) -> LoraConfig | None:
    """peft's options for training low-rank adapters; None where all weights are trained. Raises `PresetError`."""
    given = preset.train.lora
    if given is None:
        return None
    if find_spec("peft") is None:
        raise PresetError("train.lora needs peft.", remedy="pip install 'tritonrl-core[lora]', or leave it out.")
    from peft import LoraConfig

    _check_names("train.lora", given, LoraConfig, _SET_BY_LORA, owner="peft")
    _check_values("train.lora", given, LoraConfig)
    return _build("train.lora", LoraConfig, {"task_type": "CAUSAL_LM", **given}, owner="peft")


def _one_gpu_a_process(config: Any) -> Any:
    """Without a launcher transformers would spread each batch over all GPUs that it sees, the verifier's too."""
    config._n_gpu = min(config.n_gpu, 1)
    return config


def generation_period(config: GRPOConfig) -> int:
    """Micro-batches from one generation to the next: `steps_per_generation` x `num_iterations`."""
    return int(config.steps_per_generation) * int(config.num_iterations)


def _common(preset: Preset, folder: Path, given: Mapping[str, Any]) -> dict[str, Any]:
    import torch

    on_gpu = torch.cuda.is_available() and not given.get("use_cpu")
    return {
        "output_dir": str(folder),
        "seed": preset.seed,
        "use_cpu": not on_gpu,
        "bf16": on_gpu,
        "gradient_checkpointing": on_gpu,
        "dataloader_pin_memory": on_gpu,
        "ddp_find_unused_parameters": False,
        "logging_steps": 1,
        "disable_tqdm": True,
        "report_to": "none",
        "save_steps": DEFAULT_SAVE_STEPS,
        "save_total_limit": 2,
    }


def _vllm(given: Mapping[str, Any]) -> dict[str, bool]:
    """`use_vllm: auto` is yes where vLLM is installed and there is a GPU; a plain yes needs it."""
    import torch

    wanted, found = given.get("use_vllm", False), find_spec("vllm") is not None
    if wanted == "auto":
        return {"use_vllm": found and torch.cuda.is_available()}
    if wanted and not found:
        raise PresetError(
            "train.grpo.use_vllm needs vLLM, which is not installed.",
            remedy="pip install vllm (a version that TRL supports), or set train.grpo.use_vllm=auto.",
        )
    return {}


def _align_checkpoints(config: GRPOConfig, given: Mapping[str, Any]) -> None:
    """A checkpoint must lie between two generations: completions in flight are in no checkpoint."""
    period, per_step = generation_period(config), int(config.gradient_accumulation_steps)
    if "save_steps" not in given:
        while int(config.save_steps) * per_step % period:
            config.save_steps = int(config.save_steps) + 1
    elif float(config.save_steps) < 1 or int(config.save_steps) * per_step % period:
        raise PresetError(
            f"train.grpo.save_steps={given['save_steps']} would save in the middle of a generation.",
            remedy=f"One generation feeds {period / per_step:g} optimiser steps: save at a multiple of that.",
        )


def _check_names(
    where: str, given: Mapping[str, Any], config: type[Any], set_elsewhere: Mapping[str, str], owner: str = "TRL"
) -> None:
    known = {field.name for field in fields(config) if field.init}
    for name in given:
        if name in set_elsewhere:
            raise PresetError(f"{where}.{name} is not for a preset to set.", remedy=set_elsewhere[name])
        if name not in known:
            raise PresetError(
                f"{where}.{name}: {owner}'s {config.__name__} has no such field.",
                remedy=_nearest(name, known - set_elsewhere.keys())
                or f"See {owner}'s documentation of {config.__name__}.",
            )


_PLAIN: Mapping[type, str] = {bool: "true or false", int: "a whole number", float: "a number", type(None): "null"}


def _check_values(where: str, given: Mapping[str, Any], config: type[Any]) -> None:
    """Raise `PresetError` for text where a number belongs and their like: these classes take what they are given, and
    a run would fail on it when its first step is due. Fields that take anything else too are theirs to judge.
    """
    hints = get_type_hints(config)
    for name, value in given.items():
        kinds = get_args(hints[name]) or (hints[name],)
        fits = type(value) in kinds or (type(value) is int and float in kinds)
        if not fits and all(kind in _PLAIN for kind in kinds):
            raise PresetError(
                f"{where}.{name} is {value!r}: must be {' or '.join(_PLAIN[kind] for kind in kinds)}",
                remedy=f"{config.__name__} has {getattr(config, name, None)!r} by default.",
            )


def _nearest(name: str, known: Set[str]) -> str:
    """The nearest field, or those that have the name in them; "" rather than a list of hundreds."""
    within = [field for field in known if name in field]
    hint = did_you_mean(name, within or known)
    return hint if within or hint.startswith("Did") else ""


def _build(where: str, config: type[Any], options: Mapping[str, Any], owner: str = "TRL") -> Any:
    try:
        return config(**options)
    except (ValueError, TypeError, ImportError) as error:
        raise PresetError(
            f"{where}: {owner} refuses these options: {error}", remedy=f"See {owner}'s documentation."
        ) from error

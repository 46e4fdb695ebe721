"""What a preset says about TRL is checked against TRL before anything is loaded."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest

from tritonrl_core.errors import PresetError
from tritonrl_core.preset import Preset, load_preset
from tritonrl_core.train.config import (
    check_trainer_options,
    generation_period,
    grpo_config,
    lora_config,
    sft_config,
)
from tritonrl_core.train.opening import warn_of_rounding


def preset_with(**train: object) -> Preset:
    base = load_preset("baseline").dump()
    grpo = {"max_steps": 4, "per_device_train_batch_size": 8, "num_generations": 4}
    return Preset.from_data({**base, "train": {**base["train"], "grpo": grpo, "sft": {}, **train}})


def test_the_presets_own_values_reach_trl() -> None:
    config = grpo_config(preset_with(), Path("x"))
    assert (config.max_steps, config.num_generations, config.output_dir) == (4, 4, "x")
    assert config.reward_weights == [1.0, 0.1]
    assert config.shuffle_dataset is False
    assert config.ignore_data_skip is True
    assert sft_config(preset_with(sft={"learning_rate": 0.5}), Path("x")).learning_rate == 0.5


def test_an_unknown_field_names_the_nearest() -> None:
    with pytest.raises(PresetError, match=r"train\.grpo\.num_generation: .*no such field\.\n.*'num_generations'"):
        check_trainer_options(preset_with(grpo={"max_steps": 4, "num_generation": 4}))
    with pytest.raises(PresetError, match=r"train\.sft\.learning_rat: .*\n.*'learning_rate'"):
        check_trainer_options(preset_with(sft={"learning_rat": 4}))


def test_a_field_with_no_near_name_is_no_list_of_all() -> None:
    for name, remedy in (("lr", "lr_scheduler_kwargs, lr_scheduler_type"), ("zzz", "documentation of GRPOConfig")):
        with pytest.raises(PresetError) as refusal:
            check_trainer_options(preset_with(grpo={"max_steps": 4, name: 1}))
        assert remedy in refusal.value.remedy
        assert len(refusal.value.remedy) < 200


def test_what_the_run_sets_itself_is_refused_with_the_place_to_say_it() -> None:
    with pytest.raises(PresetError, match=r"train\.grpo\.reward_weights is not for a preset.*\n.*reward\.alpha"):
        check_trainer_options(preset_with(grpo={"max_steps": 4, "reward_weights": [1, 2]}))
    with pytest.raises(PresetError, match=r"train\.sft\.output_dir .*\n.*--out"):
        check_trainer_options(preset_with(sft={"output_dir": "y"}))


def test_max_steps_is_needed() -> None:
    with pytest.raises(PresetError, match=r"max_steps is needed.*\n.*--set train\.grpo\.max_steps"):
        check_trainer_options(preset_with(grpo={"num_generations": 4}))


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("train.grpo.learning_rate=hi", "train.grpo.learning_rate is 'hi': must be a number"),
        ("train.grpo.max_steps=many", "train.grpo.max_steps is 'many': must be a whole number"),
        ("train.grpo.max_steps=2.5", "train.grpo.max_steps is 2.5: must be a whole number"),
        ("train.sft.bf16=yes please", "train.sft.bf16 is 'yes please': must be true or false or null"),
        ("train.lora={r: big}", "train.lora.r is 'big': must be a whole number"),
    ],
)
def test_a_value_of_the_wrong_kind_is_said_before_anything_is_loaded(override: str, said: str) -> None:
    with pytest.raises(PresetError) as error:
        check_trainer_options(load_preset("baseline", [override]))
    assert error.value.message == said
    assert "by default" in error.value.remedy


def test_values_that_trl_refuses_are_said_with_its_words() -> None:
    with pytest.raises(PresetError, match=r"train\.grpo: TRL refuses.*num_generations"):
        check_trainer_options(
            preset_with(grpo={"max_steps": 4, "per_device_train_batch_size": 6, "num_generations": 4})
        )


def test_checkpoints_lie_between_generations() -> None:
    grpo = {"max_steps": 9, "per_device_train_batch_size": 8, "num_generations": 4, "steps_per_generation": 4}
    config = grpo_config(preset_with(grpo=grpo), Path("x"))
    assert generation_period(config) == 4
    assert config.save_steps == 12
    with pytest.raises(PresetError, match=r"middle of a generation\.\n.*4 optimiser steps"):
        grpo_config(preset_with(grpo={**grpo, "save_steps": 6}), Path("x"))


def test_every_shipped_preset_is_accepted() -> None:
    from tritonrl_core.preset import available_presets

    names = list(available_presets())
    assert len(names) >= 9
    for name in names:
        check_trainer_options(load_preset(name))


def test_loras_fields_are_pefts() -> None:
    pytest.importorskip("peft")
    made = lora_config(preset_with(lora={"r": 4, "lora_alpha": 8}))
    assert made is not None
    assert (made.r, made.lora_alpha, made.task_type) == (4, 8, "CAUSAL_LM")
    assert lora_config(preset_with()) is None
    with pytest.raises(PresetError, match=r"train\.lora\.rank: peft's LoraConfig has no such field"):
        check_trainer_options(preset_with(lora={"rank": 4}))
    with pytest.raises(PresetError, match=r"train\.lora\.task_type is not for a preset"):
        check_trainer_options(preset_with(lora={"task_type": "SEQ_CLS"}))


@pytest.mark.skipif(find_spec("vllm") is not None, reason="for machines without vLLM")
def test_vllm_that_is_not_there_is_said_and_auto_does_without() -> None:
    with pytest.raises(PresetError, match=r"use_vllm needs vLLM.*\n.*use_vllm=auto"):
        check_trainer_options(preset_with(grpo={"max_steps": 4, "use_vllm": True}))
    grpo = {"max_steps": 4, "use_vllm": "auto", "per_device_train_batch_size": 8, "num_generations": 4}
    assert grpo_config(preset_with(grpo=grpo), Path("x")).use_vllm is False


def test_the_gpu_preset_is_what_trl_and_peft_take() -> None:
    preset = load_preset("gpu_8b")
    check_trainer_options(preset)
    config = grpo_config(preset, Path("x"))
    assert config.generation_batch_size == 32 * config.num_generations


@pytest.mark.parametrize(
    ("changes", "warned"),
    [
        ([], False),
        (["train.lora=null"], True),
        (["train.lora=null", "train.grpo.model_init_kwargs.dtype=float32"], False),
    ],
)
def test_all_weights_in_half_precision_are_warned_of(
    changes: list[str], warned: bool, caplog: pytest.LogCaptureFixture
) -> None:
    warn_of_rounding(load_preset("gpu_8b", changes))
    assert ("lost in rounding" in caplog.text) is warned

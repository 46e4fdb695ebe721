"""The bundled model is what its card says: small, and loaded by plain transformers."""

from __future__ import annotations

from pathlib import Path

import pytest

from tritonrl_core.models import resolve_model


@pytest.fixture(scope="module")
def folder() -> Path:
    return Path(resolve_model("nano"))


def test_it_is_small(folder: Path) -> None:
    from transformers import AutoConfig, AutoModelForCausalLM

    model = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(folder))
    assert sum(parameter.numel() for parameter in model.parameters()) <= 4_000_000
    assert sum(path.stat().st_size for path in folder.rglob("*")) <= 10 * 2**20


def test_the_marks_of_the_prompt_are_single_tokens(folder: Path) -> None:
    from transformers import AutoTokenizer

    from tritonrl_core.tasks.prompts import SOLUTION_TOKEN, TASK_TOKEN

    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert [len(tokenizer(mark)["input_ids"]) for mark in (TASK_TOKEN, SOLUTION_TOKEN)] == [1, 1]
    assert tokenizer.eos_token_id is not None
    assert tokenizer.pad_token_id not in (None, tokenizer.eos_token_id)

"""The shipped model: small, loaded by plain transformers, made by the recipe beside it, and not yet good."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

import pytest
import tritonrl_nano
from tritonrl_nano.recipe.__main__ import main
from tritonrl_nano.recipe.build import TOKENIZER_EXAMPLES, Recipe, build
from tritonrl_nano.recipe.corpus import examples, texts
from tritonrl_nano.recipe.mistakes import HABITS
from tritonrl_nano.recipe.tasks import nano_tasks
from tritonrl_nano.recipe.tokenizer import train_tokenizer

from tritonrl_core.spans import parse_completion
from tritonrl_core.tasks.prompts import SOLUTION_TOKEN, TASK_TOKEN, compact_prompt

FOLDER = Path(tritonrl_nano.__file__).parent / "model"
MOST_PARAMETERS, MOST_BYTES = 4_000_000, 10_000_000


@pytest.fixture(scope="module")
def loaded() -> tuple[Any, Any]:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    return AutoModelForCausalLM.from_pretrained(FOLDER, dtype="float32"), AutoTokenizer.from_pretrained(FOLDER)


def test_the_model_is_as_small_as_it_must_be(loaded: tuple[Any, Any]) -> None:
    assert sum(parameter.numel() for parameter in loaded[0].parameters()) <= MOST_PARAMETERS
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) <= MOST_BYTES


def test_the_marks_of_the_prompt_are_single_tokens(loaded: tuple[Any, Any]) -> None:
    tokenizer = loaded[1]
    assert [len(tokenizer(mark)["input_ids"]) for mark in (TASK_TOKEN, SOLUTION_TOKEN)] == [1, 1]
    assert tokenizer.pad_token_id not in (None, tokenizer.eos_token_id)


def test_the_tokenizer_gives_back_what_it_was_given(loaded: tuple[Any, Any]) -> None:
    tokenizer = loaded[1]
    for text in texts(examples(200, seed=21)):
        assert tokenizer.decode(tokenizer(text)["input_ids"]) == text
    assert tokenizer.eos_token_id == loaded[0].config.eos_token_id


def test_completions_are_short(loaded: tuple[Any, Any]) -> None:
    completions = [len(loaded[1](example.completion)["input_ids"]) for example in examples(400, seed=22)]
    assert sum(completions) / len(completions) < 110
    assert max(completions) < 250


def test_the_model_answers_in_the_form_that_is_asked_for(loaded: tuple[Any, Any]) -> None:
    import torch

    model, tokenizer = loaded
    prompts = [compact_prompt(task) for task in nano_tasks("held_out", 16)]
    batch = tokenizer(prompts, return_tensors="pt", padding=True)
    torch.manual_seed(0)
    inputs = {name: batch[name] for name in ("input_ids", "attention_mask")}
    output = model.generate(**inputs, max_new_tokens=256, do_sample=True, top_k=0)
    answers = tokenizer.batch_decode(output[:, batch["input_ids"].shape[1] :], skip_special_tokens=True)
    well_formed = 0
    for answer in answers:
        candidate = parse_completion(answer)
        try:
            ast.parse(candidate.code)
        except SyntaxError:
            continue
        well_formed += bool(candidate.plan) and "class ModelNew" in candidate.code
    assert well_formed >= 14


def test_the_card_and_the_recipe_say_what_the_model_was_made_with() -> None:
    made = json.loads((FOLDER / "recipe.json").read_text())
    assert made["habits"] == {habit.name: habit.rate for habit in HABITS}
    defaults = Recipe()
    assert made["recipe"]["examples"] == defaults.examples
    assert made["recipe"]["steps"] == defaults.steps
    card = (FOLDER / "README.md").read_text()
    for habit in HABITS:
        assert f"| {habit.name} | {habit.rate:g} |" in card, f"the card does not say {habit.name}: {habit.rate:g}"


@pytest.mark.slow
def test_the_tokenizer_is_the_recipes_own(loaded: tuple[Any, Any]) -> None:
    recipe = Recipe()
    corpus = examples(TOKENIZER_EXAMPLES, recipe.seed, recipe.mixture, processes=2)
    assert train_tokenizer(texts(corpus)).get_vocab() == loaded[1].get_vocab()


@pytest.mark.slow
def test_the_recipe_builds_a_model_that_loads(tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    made = build(tmp_path, Recipe(examples=64, steps=2, batch=8), processes=1)
    model = AutoModelForCausalLM.from_pretrained(tmp_path)
    assert model.config.vocab_size <= 1024
    assert made["parameters"] == sum(parameter.numel() for parameter in model.parameters())
    assert json.loads((tmp_path / "recipe.json").read_text()) == made


def test_a_model_that_is_not_there_is_one_message(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", "--model", str(tmp_path / "nowhere")]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert "nowhere: cannot load this model" in told.err

"""What `tritonrl tasks generate --with-solutions` writes is what TRL's SFTTrainer reads, without a change."""

import pytest
from datasets import load_dataset, load_from_disk
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM
from trl import SFTConfig, SFTTrainer

from tritonrl_core.base.known_solution import known_solution
from tritonrl_core.models import resolve_model
from tritonrl_core.tasks.export import solution_row, write_rows
from tritonrl_core.tasks.suite import builtin_tasks

TEMPLATE = "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}"


@pytest.mark.parametrize("style", ["chat", "compact"])
@pytest.mark.parametrize("form", ["sft.jsonl", "sft"])
def test_trl_trains_on_it(tmp_path, style, form):
    rows = [solution_row(task, known_solution(task), style) for task in builtin_tasks("train")[:2]]
    place = tmp_path / form
    write_rows(rows, place)
    if place.is_dir():
        dataset = load_from_disk(str(place))
    else:
        dataset = load_dataset("json", data_files=str(place), split="train", cache_dir=str(tmp_path / "cache"))
    tokenizer = AutoTokenizer.from_pretrained(resolve_model("nano"))
    tokenizer.chat_template = TEMPLATE
    config = LlamaConfig(vocab_size=len(tokenizer), hidden_size=16, intermediate_size=16, num_hidden_layers=1,
                         num_attention_heads=2)  # fmt: skip
    options = SFTConfig(
        output_dir=str(tmp_path / "out"), max_steps=1, per_device_train_batch_size=1, max_length=4096, report_to=[],
        use_cpu=True, save_strategy="no", logging_steps=1,
    )  # fmt: skip
    trainer = SFTTrainer(LlamaForCausalLM(config), options, train_dataset=dataset, processing_class=tokenizer)
    result = trainer.train()
    assert result.training_loss > 1, "the completion's tokens count"

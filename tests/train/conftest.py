"""A policy small enough for tests, and tasks that need no bench."""

from __future__ import annotations

from pathlib import Path

import pytest

from tritonrl_core.types import Task

TEXTS = [
    "<|task|>class Model: x + 1\n<|sol|>",
    "<plan>\nfuse one kernel, BLOCK 256, 4 warps.\n</plan>\n```python\nimport triton\nclass ModelNew:\n    x = 1\n```",
]


@pytest.fixture(scope="session")
def tiny_policy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A one-layer Llama with a character tokenizer, saved as transformers saves models."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    alphabet = sorted(set("".join(TEXTS)) | set("abcdefghijklmnopqrstuvwxyz 0123456789"))
    special = ["<|pad|>", "<|eos|>", "<|unk|>"]
    vocabulary = {token: place for place, token in enumerate([*special, *alphabet])}
    raw = Tokenizer(models.WordLevel(vocabulary, unk_token="<|unk|>"))
    raw.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    raw.decoder = decoders.Fuse()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=raw, pad_token="<|pad|>", eos_token="<|eos|>", unk_token="<|unk|>", padding_side="left"
    )
    config = LlamaConfig(
        vocab_size=len(vocabulary),
        hidden_size=32,
        num_hidden_layers=1,
        intermediate_size=32,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=512,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=1,
        pad_token_id=0,
    )
    folder = tmp_path_factory.mktemp("tiny-policy")
    torch.manual_seed(1)
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tasks() -> list[Task]:
    """Four tasks of level 1 and two of level 2; the text is all that the stream looks at."""
    return [
        Task(id=f"l{level}-{number}", level=level, source=f"class Model: pass  # {level} {number}")
        for level, count in ((1, 4), (2, 2))
        for number in range(count)
    ]

"""The model's architecture: a small Llama, loaded by plain transformers classes. Weights come from `build`."""

from __future__ import annotations

from typing import Any

SEED = 0

CONTEXT = 1024
"""Tokens of prompt and completion together that the model is made for; the longest in the corpus is about 260."""


def new_model(tokenizer: Any) -> Any:
    """A model with random weights: three layers of width 160, 1.0 million parameters with tied embeddings."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=160,
        intermediate_size=384,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=4,
        max_position_embeddings=CONTEXT,
        tie_word_embeddings=True,
        initializer_range=0.03,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        return LlamaForCausalLM(config)

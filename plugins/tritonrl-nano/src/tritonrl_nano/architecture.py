"""The model's architecture: a small Llama, loaded by plain transformers classes."""

from __future__ import annotations

from typing import Any

from tritonrl_nano.tokenizer import EOS, PAD, SPECIAL, VOCABULARY


def llama_config(vocabulary: int = VOCABULARY) -> Any:
    """Three layers of width 160: 1.0 million parameters with tied embeddings."""
    from transformers import LlamaConfig

    return LlamaConfig(
        architectures=["LlamaForCausalLM"],
        vocab_size=vocabulary,
        hidden_size=160,
        intermediate_size=384,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=4,
        max_position_embeddings=2048,
        tie_word_embeddings=True,
        initializer_range=0.03,
        bos_token_id=None,
        eos_token_id=SPECIAL.index(EOS),
        pad_token_id=SPECIAL.index(PAD),
    )

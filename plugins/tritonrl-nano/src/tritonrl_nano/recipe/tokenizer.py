"""The tokenizer: byte-pair encoding whose words are whole lines, with digits apart, so that a kernel is few tokens.

A line that occurs often becomes one token; sizes are spelt digit by digit, so that unseen ones can be copied. ASCII.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

VOCABULARY = 1024
PAD, END, UNKNOWN = "<|pad|>", "<|eos|>", "<|unk|>"


def train_tokenizer(texts: Iterable[str]) -> Any:
    """A `PreTrainedTokenizerFast` of `VOCABULARY` tokens, learned from prompts and completions."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    from tritonrl_core.tasks.prompts import SOLUTION_TOKEN, TASK_TOKEN

    tokenizer = Tokenizer(models.BPE(unk_token=UNKNOWN))
    lines = pre_tokenizers.Split(Regex(r"\n"), "merged_with_previous")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([lines, pre_tokenizers.Digits(individual_digits=True)])
    tokenizer.decoder = decoders.Fuse()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=[PAD, END, UNKNOWN, TASK_TOKEN, SOLUTION_TOKEN],
        initial_alphabet=[chr(code) for code in range(32, 127)] + ["\n"],
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        eos_token=END,
        unk_token=UNKNOWN,
        clean_up_tokenization_spaces=False,
        padding_side="left",
        model_max_length=1024,
    )

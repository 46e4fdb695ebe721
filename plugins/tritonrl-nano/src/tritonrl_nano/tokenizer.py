"""The model's tokenizer: a byte-pair encoding whose pre-token is a whole line, with every digit apart.

A line of kernel code is often one token, so a completion is short enough to sample on a laptop; digits one by one let
the model copy sizes that it has not seen. ASCII only: other characters become the unknown token.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

PAD, EOS, TASK, SOLUTION, UNKNOWN = SPECIAL = ("<|pad|>", "<|eos|>", "<|task|>", "<|sol|>", "<|unk|>")
"""Special tokens, by id. TASK and SOLUTION frame the compact prompt of `tritonrl_core.tasks.prompts`."""

VOCABULARY = 1024


def train_tokenizer(texts: Iterable[str], vocabulary: int = VOCABULARY) -> Any:
    """A `PreTrainedTokenizerFast` trained on texts. The same texts in the same order give the same tokenizer."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    raw = Tokenizer(models.BPE(unk_token=UNKNOWN))
    raw.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(r"\n"), "merged_with_previous"),
            pre_tokenizers.Digits(individual_digits=True),
        ]
    )
    raw.decoder = decoders.Fuse()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=list(SPECIAL),
        initial_alphabet=[*map(chr, range(32, 127)), "\n"],
        show_progress=False,
    )
    raw.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=raw,
        pad_token=PAD,
        eos_token=EOS,
        unk_token=UNKNOWN,
        padding_side="left",
        clean_up_tokenization_spaces=False,
    )

"""Where plan and code lie in a completion, in characters and in tokens. Pure text; judges nothing.

A completion is a plan (`<plan>…</plan>`, `<think>…</think>`, or the prose before the code) and a fenced Python block:

    <plan>
    fuse both operators, BLOCK 256, 4 warps.
    </plan>
    ```python
    import triton
    …
    ```

What is neither (tags, fences, the end-of-text token, prose after the plan) is the frame.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import Any, Protocol

from tritonrl_core.types import Candidate

FRAME, PLAN, CODE = 0, 1, 2
"""What a token belongs to."""

Span = tuple[int, int]

_OPEN_TAG = re.compile(r"<(?:plan|think)>")
_CLOSE_TAG = re.compile(r"</(?:plan|think)>")
_FENCE = re.compile(r"^[ \t]*```[ \t]*([\w+-]*)[^\n`]*\n", re.MULTILINE)
_FENCE_END = re.compile(r"^[ \t]*```", re.MULTILINE)
_PYTHON = ("python", "python3", "py", "triton")
_DEFINES_MODEL = re.compile(r"^class[ \t]+ModelNew\b", re.MULTILINE)


class Decoder(Protocol):
    """What is needed of a tokenizer: ids to text, as `transformers` tokenizers do it."""

    def decode(self, token_ids: Any, skip_special_tokens: bool = ...) -> Any: ...

    def batch_decode(self, sequences: Any, skip_special_tokens: bool = ...) -> Any: ...


def parse_completion(text: str) -> Candidate:
    """Find plan and code in a completion.

    The code is the last fenced Python block behind the plan that defines `ModelNew`, else the last Python block, else
    the last block without a language; a fence that is never closed runs to the end. With no fence there is no code.
    The plan runs from the first opening tag to the last closing one before the code; without tags it is what stands
    before the code.
    """
    tags_end = _closed_tags_end(text)
    fence = _code_fence(text, tags_end)
    if fence is None:
        plan_span = _plan_span(text, len(text), tagged_only=True)
        code_span = None
    else:
        plan_span = _plan_span(text, fence[0])
        code_span = (fence[1], fence[2])
    return Candidate(
        text=text,
        code=text[slice(*code_span)] if code_span else "",
        plan=text[slice(*plan_span)].strip() if plan_span else "",
        plan_span=plan_span,
        code_span=code_span,
    )


def _closed_tags_end(text: str) -> int:
    """End of the last closing tag, so that drafts inside a plan are not taken for the answer."""
    return max((match.end() for match in _CLOSE_TAG.finditer(text)), default=0)


def _code_fence(text: str, start: int) -> tuple[int, int, int] | None:
    """(start of the opening fence, start of the code, end of the code) of the block that is the answer."""
    blocks: list[tuple[str, int, int, int]] = []
    at = start
    while opening := _FENCE.search(text, at):
        closing = _FENCE_END.search(text, opening.end())
        end = closing.start() if closing else len(text)
        blocks.append((opening.group(1).lower(), opening.start(), opening.end(), end))
        at = closing.end() if closing else len(text)
    python = [block for block in blocks if block[0] in _PYTHON] or [block for block in blocks if not block[0]]
    answers = [block for block in python if _DEFINES_MODEL.search(text, block[2], block[3])] or python
    return answers[-1][1:] if answers else None


def _plan_span(text: str, end: int, *, tagged_only: bool = False) -> Span | None:
    """The plan inside `text[:end]`, without its outer tags. A prompt may have opened the tag already (`<think>` of some
    chat templates), and a plan may never be closed."""
    opening = _OPEN_TAG.search(text, 0, end)
    closings = list(_CLOSE_TAG.finditer(text, 0, end))
    if opening is None and not closings and tagged_only:
        return None
    begin = opening.end() if opening and not (closings and closings[-1].start() < opening.start()) else 0
    stop = closings[-1].start() if closings else end
    return _stripped(text, begin, stop)


def _stripped(text: str, begin: int, end: int) -> Span | None:
    """The range without white space at its ends; None where nothing is left."""
    inner = text[begin:end]
    lead = len(inner) - len(inner.lstrip())
    size = len(inner.strip())
    return (begin + lead, begin + lead + size) if size else None


def token_parts(tokenizer: Decoder, token_ids: Sequence[int], candidate: Candidate) -> list[int]:
    """For each token `FRAME`, `PLAN` or `CODE`: the part that it shares at least one character with.

    `candidate.text` must be the decoded `token_ids` without special tokens. Works from the sampled ids themselves (text
    that is encoded anew may give other ids), for tokenizers whose tokens are pieces of text and for those (byte-level
    BPE, SentencePiece) where a character may be spread over tokens.
    """
    parts = [FRAME] * len(token_ids)
    chars_before = _chars_before(tokenizer, token_ids, candidate.text)
    for part, span in ((PLAN, candidate.plan_span), (CODE, candidate.code_span)):
        if span is None:
            continue
        places = range(len(token_ids) + 1)
        first = bisect_left(places, span[0], key=chars_before)
        if first and (first == len(places) or chars_before(first) > span[0]):
            first -= 1  # the token before reaches into the span
        last = bisect_left(places, span[1], key=chars_before)
        parts[first:last] = [part] * (min(last, len(parts)) - first)
    return parts


def _chars_before(tokenizer: Decoder, token_ids: Sequence[int], text: str) -> Callable[[int], int]:
    """A function from n to the number of characters that the first n tokens decode to."""
    pieces = tokenizer.batch_decode([[token] for token in token_ids], skip_special_tokens=True)
    if "".join(pieces) == text:
        return [0, *accumulate(map(len, pieces))].__getitem__

    def by_prefix(count: int) -> int:
        prefix = tokenizer.decode(list(token_ids[:count]), skip_special_tokens=True)
        # A prefix may end inside a character, which decodes to U+FFFD: that one is not there yet.
        return len(prefix) if text.startswith(prefix) else len(prefix.rstrip("\ufffd"))

    return by_prefix

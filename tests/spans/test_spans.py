"""Plan and code are found where they are, character by character and token by token."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tritonrl_core.spans import CODE, FRAME, PLAN, parse_completion, token_parts
from tritonrl_core.types import Candidate

CODE_TEXT = "import triton\n\nclass ModelNew:\n    pass\n"
HOUSE = f"<plan>\nfuse both, BLOCK 256.\n</plan>\n```python\n{CODE_TEXT}```"


def spans_are_exact(candidate: Candidate) -> None:
    if candidate.plan_span:
        assert candidate.text[slice(*candidate.plan_span)] == candidate.plan
    else:
        assert candidate.plan == ""
    assert (
        candidate.text[slice(*candidate.code_span)] == candidate.code if candidate.code_span else candidate.code == ""
    )


def test_house_form() -> None:
    found = parse_completion(HOUSE)
    spans_are_exact(found)
    assert found.plan == "fuse both, BLOCK 256."
    assert found.code == CODE_TEXT


def test_think_tags_and_prose_after_them() -> None:
    found = parse_completion(f"<think>\nhm, tiles?\n</think>\n\nHere it is:\n```python\n{CODE_TEXT}```\nDone.")
    spans_are_exact(found)
    assert found.plan == "hm, tiles?"
    assert found.code == CODE_TEXT


def test_think_then_plan_is_one_plan() -> None:
    found = parse_completion(f"<think>a</think><plan>b</plan>\n```python\n{CODE_TEXT}```")
    assert found.plan == "a</think><plan>b"


def test_think_that_the_prompt_opened() -> None:
    found = parse_completion(f"hm, tiles?\n</think>\n```python\n{CODE_TEXT}```")
    assert found.plan == "hm, tiles?"
    assert found.code == CODE_TEXT


def test_prose_is_the_plan_where_there_are_no_tags() -> None:
    found = parse_completion(f"One kernel will do.\n\n```py\n{CODE_TEXT}```")
    assert found.plan == "One kernel will do."


def test_unclosed_plan_ends_at_the_fence() -> None:
    found = parse_completion(f"<plan>\nfuse\n```python\n{CODE_TEXT}```")
    assert found.plan == "fuse"
    assert found.code == CODE_TEXT


def test_unclosed_fence_runs_to_the_end() -> None:
    found = parse_completion(f"<plan>x</plan>\n```python\n{CODE_TEXT}")
    assert found.code == CODE_TEXT


def test_no_fence_is_no_code() -> None:
    found = parse_completion("<plan>x</plan>\nimport triton\n")
    assert (found.code, found.code_span, found.plan) == ("", None, "x")
    assert parse_completion("just prose").plan_span is None


def test_a_draft_inside_the_plan_is_not_the_answer() -> None:
    found = parse_completion("<think>\n```python\nclass ModelNew: ...\n```\n</think>\nsorry, no")
    assert found.code == ""


def test_the_block_that_defines_the_model_wins_over_a_later_example() -> None:
    found = parse_completion(f"plan\n```python\n{CODE_TEXT}```\nUse it so:\n```python\nModelNew()(x)\n```\n")
    assert found.code == CODE_TEXT
    assert found.plan == "plan"


def test_the_last_of_two_versions_wins() -> None:
    found = parse_completion(f"```python\nclass ModelNew: 1\n```\nbetter:\n```python\n{CODE_TEXT}```")
    assert found.code == CODE_TEXT


def test_bare_fence_is_taken_where_no_python_fence_is() -> None:
    assert parse_completion(f"x\n```\n{CODE_TEXT}```").code == CODE_TEXT
    assert parse_completion(f"x\n```\n{CODE_TEXT}```\n```bash\nls\n```").code == CODE_TEXT


def test_backticks_inside_a_line_of_code_do_not_end_it() -> None:
    code = 'class ModelNew:\n    """uses ```x``` """\n'
    assert parse_completion(f"```python\n{code}```").code == code


@pytest.mark.parametrize(
    "text", ["", "```", "```python", "```python\n", "</plan>", "<plan>", "<plan></plan>```python\n```"]
)
def test_degenerate_texts_give_no_code(text: str) -> None:
    found = parse_completion(text)
    spans_are_exact(found)
    assert found.code == ""


@given(
    st.text(alphabet="ab \n`<>/plan", max_size=60)
    | st.lists(
        st.sampled_from(
            ["<plan>", "</plan>", "<think>", "</think>", "```python\n", "```\n", "\n```", "class ModelNew:\n", "é x\n"]
        ),
        max_size=12,
    ).map("".join)
)
@settings(max_examples=300, deadline=None)
def test_spans_are_exact_and_apart_for_any_text(text: str) -> None:
    found = parse_completion(text)
    spans_are_exact(found)
    if found.plan_span and found.code_span:
        assert found.plan_span[1] <= found.code_span[0]


class Pieces:
    """An honest tokenizer over given byte pieces; ids are places in the list; id 0 is special."""

    def __init__(self, pieces: list[bytes]) -> None:
        self.pieces = pieces

    def decode(self, token_ids: list[int], skip_special_tokens: bool = False) -> str:
        return b"".join(self.pieces[i] for i in token_ids if i or not skip_special_tokens).decode(errors="replace")

    def batch_decode(self, sequences: list[list[int]], skip_special_tokens: bool = False) -> list[str]:
        return [self.decode(ids, skip_special_tokens) for ids in sequences]


def parts_of(pieces: list[bytes]) -> tuple[list[int], Candidate]:
    tokenizer = Pieces([b"<eos>", *pieces])
    ids = [*range(1, len(pieces) + 1), 0]
    candidate = parse_completion(tokenizer.decode(ids, skip_special_tokens=True))
    return token_parts(tokenizer, ids, candidate), candidate


def test_tokens_get_the_part_that_they_touch() -> None:
    parts, candidate = parts_of(
        [
            b"<plan>",
            b"\n",
            b"fuse",
            b" it",
            b"\n",
            b"</plan>",
            b"\n```python\n",
            b"import x",
            b"\nclass",
            b" y\n",
            b"```",
        ]
    )
    assert candidate.plan == "fuse it"
    assert parts == [FRAME, FRAME, PLAN, PLAN, FRAME, FRAME, FRAME, CODE, CODE, CODE, FRAME, FRAME]


def test_a_token_across_the_edge_counts_for_the_part() -> None:
    parts, _ = parts_of([b"<plan>fuse", b" it</plan>\n", b"```python\nimport", b" x\n```"])
    assert parts == [PLAN, PLAN, CODE, CODE, FRAME]


def test_characters_spread_over_tokens() -> None:
    split = "é→🙂".encode()
    parts, candidate = parts_of(
        [
            b"<plan>",
            *[bytes([b]) for b in split],
            b"</plan>\n",
            b"```python\n",
            b"x = '",
            *[bytes([b]) for b in split],
            b"'\n",
            b"```",
        ]
    )
    assert candidate.plan == "é→🙂"
    assert parts == [FRAME, *[PLAN] * len(split), FRAME, FRAME, *[CODE] * (len(split) + 2), FRAME, FRAME]


@given(st.lists(st.integers(1, 400), max_size=30))
@settings(max_examples=100, deadline=None)
def test_any_cut_of_the_bytes_gives_the_same_characters_to_the_parts(cuts: list[int]) -> None:
    data = "<plan>\nfüse → both\n</plan>\n```python\nx = 'é🙂'\nclass ModelNew: pass\n```".encode()
    places = sorted({0, len(data), *(cut % len(data) for cut in cuts)})
    parts, candidate = parts_of([data[a:b] for a, b in itertools.pairwise(places)])
    assert candidate.plan_span is not None
    assert candidate.code_span is not None
    for part, span in ((PLAN, candidate.plan_span), (CODE, candidate.code_span)):
        begin, end = (len(candidate.text[:at].encode()) for at in span)
        touching = [a < end and b > begin for a, b in itertools.pairwise(places)]
        got = [p == part for p in parts[:-1]]
        # Where one token reaches into both parts, the code has it.
        shared = [p == CODE for p in parts[:-1]] if part == PLAN else [False] * len(got)
        assert [t and not s for t, s in zip(touching, shared, strict=True)] == got
    assert parts[-1] == FRAME

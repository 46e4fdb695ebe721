"""Level 1: pieces of attention."""

from __future__ import annotations

from tritonrl_core.tasks.suite.template import Dims, Operator

SMALL: Dims = {"BATCH": (2, 1), "HEADS": (2, 3), "LENGTH": (70, 50), "DIM": 16}
FULL: Dims = {"BATCH": (4, 3), "HEADS": (16, 12), "LENGTH": (2048, 1500), "DIM": 64}
SHAPE = "torch.randn(BATCH, HEADS, LENGTH, DIM)"
QKV = {"q": SHAPE, "k": SHAPE, "v": SHAPE}
FAMILY = "attention"

OPERATORS = (
    Operator(
        "attention",
        "Attention without a mask.",
        SMALL,
        FULL,
        QKV,
        "return F.scaled_dot_product_attention(q, k, v)",
        forbidden=("softmax",),
        family=FAMILY,
    ),
    Operator(
        "causal_attention",
        "Attention in which each position sees itself and those before.",
        SMALL,
        FULL,
        QKV,
        "return F.scaled_dot_product_attention(q, k, v, is_causal=True)",
        held_out=True,
        forbidden=("softmax",),
        family=FAMILY,
    ),
    Operator(
        "attention_scores",
        "Scaled products of queries and keys.",
        SMALL,
        {**FULL, "BATCH": (2, 1)},
        {"q": SHAPE, "k": SHAPE},
        "return q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5",
        family=FAMILY,
    ),
    Operator(
        "rotary",
        "Rotary embedding: halves of each vector turned by position-dependent angles, given as cosine and sine.",
        SMALL,
        {**FULL, "BATCH": (16, 12)},
        {"x": SHAPE, "cos": "torch.randn(LENGTH, DIM // 2)", "sin": "torch.randn(LENGTH, DIM // 2)"},
        "left, right = x.chunk(2, dim=-1)\n"
        "return torch.cat([left * cos - right * sin, right * cos + left * sin], dim=-1)",
        family=FAMILY,
    ),
)

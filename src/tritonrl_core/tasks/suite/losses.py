"""Level 1: losses. All are means over a batch, unless their summary says otherwise."""

from __future__ import annotations

from collections.abc import Mapping

from tritonrl_core.tasks.suite.template import Dims, Operator

SMALL: Dims = {"ROWS": (37, 17, 64), "COLS": (130, 96, 257)}
FULL: Dims = {"ROWS": (8192, 5000), "COLS": (4096, 3001)}
PAIR = {"prediction": "torch.randn(ROWS, COLS)", "target": "torch.randn(ROWS, COLS)"}


def _loss(
    name: str, summary: str, inputs: Mapping[str, str], forward: str, *, held_out: bool = False
) -> Operator:
    return Operator(name, summary, SMALL, FULL, inputs, forward, held_out=held_out, family="loss")


OPERATORS = (
    _loss("mse_loss", "Mean squared error.", PAIR, "return F.mse_loss(prediction, target)"),
    _loss("huber_loss", "Smooth L1 loss.", PAIR, "return F.smooth_l1_loss(prediction, target)"),
    _loss(
        "hinge_loss",
        "Hinge loss against targets of -1 and 1.",
        {"prediction": "torch.randn(ROWS, COLS)", "target": "torch.randint(0, 2, (ROWS, 1)) * 2 - 1"},
        "return torch.clamp(1 - prediction * target, min=0).mean()",
        held_out=True,
    ),
    _loss(
        "cross_entropy",
        "Cross-entropy of logits against class indices.",
        {"logits": "torch.randn(ROWS, COLS)", "labels": "torch.randint(0, COLS, (ROWS,))"},
        "return F.cross_entropy(logits, labels)",
    ),
    _loss(
        "bce_with_logits",
        "Binary cross-entropy of logits against targets between 0 and 1.",
        {"logits": "torch.randn(ROWS, COLS)", "target": "torch.rand(ROWS, COLS)"},
        "return F.binary_cross_entropy_with_logits(logits, target)",
    ),
    _loss(
        "kl_div",
        "Kullback-Leibler divergence of each row from log-probabilities, summed over the row.",
        {
            "log_prediction": "torch.log_softmax(torch.randn(ROWS, COLS), dim=-1)",
            "target": "torch.softmax(torch.randn(ROWS, COLS), dim=-1)",
        },
        'return F.kl_div(log_prediction, target, reduction="none").sum(dim=-1)',
        held_out=True,
    ),
    _loss("cosine_similarity", "Cosine similarity of corresponding rows.", PAIR,
          "return F.cosine_similarity(prediction, target, dim=1)"),
    _loss(
        "triplet_margin",
        "Triplet margin loss of each row.",
        dict.fromkeys(("anchor", "positive", "negative"), "torch.randn(ROWS, COLS)"),
        'return F.triplet_margin_loss(anchor, positive, negative, reduction="none")',
    ),
)

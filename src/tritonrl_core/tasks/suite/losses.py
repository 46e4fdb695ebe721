"""Level 1: losses, one value a row.

Not one for the whole batch: the mean of millions of elements is nearly the same whatever they are, and tells nothing.
"""

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
    _loss("mse_loss", "Mean squared error of each row.", PAIR,
          'return F.mse_loss(prediction, target, reduction="none").mean(dim=1)'),
    _loss("huber_loss", "Mean smooth L1 loss of each row.", PAIR,
          'return F.smooth_l1_loss(prediction, target, reduction="none").mean(dim=1)'),
    _loss(
        "hinge_loss",
        "Mean hinge loss of each row against its target of -1 or 1.",
        {"prediction": "torch.randn(ROWS, COLS)", "target": "torch.randint(0, 2, (ROWS, 1)) * 2 - 1"},
        "return torch.clamp(1 - prediction * target, min=0).mean(dim=1)",
        held_out=True,
    ),
    _loss(
        "cross_entropy",
        "Cross-entropy of each row of logits against its class index.",
        {"logits": "torch.randn(ROWS, COLS)", "labels": "torch.randint(0, COLS, (ROWS,))"},
        'return F.cross_entropy(logits, labels, reduction="none")',
    ),
    _loss(
        "bce_with_logits",
        "Mean binary cross-entropy of each row of logits against targets between 0 and 1.",
        {"logits": "torch.randn(ROWS, COLS)", "target": "torch.rand(ROWS, COLS)"},
        'return F.binary_cross_entropy_with_logits(logits, target, reduction="none").mean(dim=1)',
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

"""Level 2: fusions of elementwise operators, reductions, normalisations and lookups over rows."""

from __future__ import annotations

from collections.abc import Mapping

from tritonrl_core.tasks.suite.template import Dims, Operator

SMALL: Dims = {"ROWS": (37, 17, 64), "COLS": (130, 96, 257)}
FULL: Dims = {"ROWS": (8192, 5000), "COLS": (4096, 3001)}
TABLE_SMALL: Dims = {"BATCH": (3, 2), "LENGTH": (17, 33), "ENTRIES": (21, 40), "DIM": (70, 24)}
TABLE_FULL: Dims = {"BATCH": (16, 11), "LENGTH": (2048, 1500), "ENTRIES": (32000, 20001), "DIM": (1024, 700)}
POOL_SMALL: Dims = {"BATCH": (3, 2), "LENGTH": (37, 50), "DIM": (21, 64)}
POOL_FULL: Dims = {"BATCH": (64, 40), "LENGTH": (1024, 700), "DIM": (512, 390)}
HEADS_SMALL: Dims = {"BATCH": (2, 1), "HEADS": (2, 3), "LENGTH": (37, 50), "DIM": 16}
HEADS_FULL: Dims = {"BATCH": (16, 12), "HEADS": (16, 12), "LENGTH": (2048, 1500), "DIM": 64}
ROWS = "torch.randn(ROWS, COLS)"
VECTOR = "torch.randn(COLS)"
NORM = "self.norm = nn.LayerNorm(features)"
WEIGHT = "self.weight = nn.Parameter(torch.ones(features))"
FEATURES = {"features": "COLS"}


def _rows(
    name: str,
    summary: str,
    inputs: Mapping[str, str],
    forward: str,
    init: str = "",
    *,
    held_out: bool = False,
    family: str = "fused_rows",
) -> Operator:
    return Operator(
        name,
        summary,
        SMALL,
        FULL,
        inputs,
        forward,
        FEATURES if init else {},
        init,
        held_out=held_out,
        forbidden=("softmax",) if "softmax" in forward else (),
        family=family,
        level=2,
    )


OPERATORS = (
    _rows("scale_bias_tanh", "Scale by 0.5, add a vector, then tanh.", {"x": ROWS, "bias": VECTOR},
          "return torch.tanh(x * 0.5 + bias)"),
    _rows("bias_gelu", "Add a vector, then GELU.", {"x": ROWS, "bias": VECTOR}, "return F.gelu(x + bias)"),
    _rows("bias_gelu_residual", "Add a vector, GELU, add the residual.", {"x": ROWS, "bias": VECTOR, "residual": ROWS},
          "return residual + F.gelu(x + bias)", held_out=True),
    _rows("silu_mul", "SiLU of the gate times the other tensor.", {"gate": ROWS, "up": ROWS},
          "return F.silu(gate) * up"),
    _rows("gelu_mul", "GELU of the gate times the other tensor.", {"gate": ROWS, "up": ROWS},
          "return F.gelu(gate) * up", held_out=True),
    _rows("squared_relu_gate", "Squared ReLU times the sigmoid of a gate.", {"x": ROWS, "gate": ROWS},
          "return torch.relu(x).square() * torch.sigmoid(gate)"),
    _rows("residual_layer_norm", "Add the residual, then layer normalisation.", {"x": ROWS, "residual": ROWS},
          "return self.norm(x + residual)", NORM),
    _rows(
        "residual_rms_norm",
        "Add the residual, then RMS normalisation; both the sum and the normalised tensor are returned.",
        {"x": ROWS, "residual": ROWS},
        "total = x + residual\n"
        "scale = torch.rsqrt(total.square().mean(dim=-1, keepdim=True) + 1e-5)\n"
        "return total * scale * self.weight, total",
        WEIGHT,
    ),
    _rows("layer_norm_gelu", "Layer normalisation, then GELU.", {"x": ROWS}, "return F.gelu(self.norm(x))", NORM),
    _rows(
        "rms_norm_silu_gate",
        "RMS normalisation, then a product with the SiLU of a gate.",
        {"x": ROWS, "gate": ROWS},
        "scale = torch.rsqrt(x.square().mean(dim=-1, keepdim=True) + 1e-5)\n"
        "return x * scale * self.weight * F.silu(gate)",
        WEIGHT,
        held_out=True,
    ),
    _rows("standardise_clamp", "Each row to mean 0 and deviation 1, then clamp to [-1, 1].", {"x": ROWS},
          "centred = x - x.mean(dim=1, keepdim=True)\n"
          "return torch.clamp(centred / (x.std(dim=1, keepdim=True) + 1e-5), -1, 1)"),
    _rows("min_max_scale", "Each row to the range from 0 to 1.", {"x": ROWS},
          "low = x.amin(dim=1, keepdim=True)\n"
          "return (x - low) / (x.amax(dim=1, keepdim=True) - low + 1e-5)", held_out=True),
    _rows("scale_bias_softmax", "Scale by 0.25, add the bias of each element, softmax of each row.",
          {"x": ROWS, "bias": ROWS}, "return torch.softmax(x * 0.25 + bias, dim=-1)"),
    _rows("softcap_softmax", "Cap the logits softly at 5, softmax of each row.", {"x": ROWS},
          "return torch.softmax(5 * torch.tanh(x / 5), dim=-1)", held_out=True),
    _rows("softmax_entropy", "Entropy of the softmax of each row.", {"x": ROWS},
          "logarithm = torch.log_softmax(x, dim=-1)\n"
          "return -(logarithm.exp() * logarithm).sum(dim=-1)"),
    _rows("smoothed_cross_entropy", "Cross-entropy of each row with label smoothing of 0.1.",
          {"logits": ROWS, "labels": "torch.randint(0, COLS, (ROWS,))"},
          'return F.cross_entropy(logits, labels, label_smoothing=0.1, reduction="none")', held_out=True),
    _rows("focal_loss", "Mean binary focal loss of each row, with exponent 2.",
          {"logits": ROWS, "target": "torch.randint(0, 2, (ROWS, COLS)).float()"},
          "probability = torch.sigmoid(logits)\n"
          'loss = F.binary_cross_entropy_with_logits(logits, target, reduction="none")\n'
          "wrong = probability * (1 - target) + (1 - probability) * target\n"
          "return (wrong.square() * loss).mean(dim=1)"),
    _rows("masked_mean", "Mean over the elements of each row that the mask allows.",
          {"x": ROWS, "mask": "torch.rand(ROWS, COLS) < 0.6"},
          "return (x * mask).sum(dim=1) / mask.sum(dim=1).clamp(min=1)"),
    _rows("softplus_cumsum", "Softplus, then the cumulative sum of each row.", {"x": ROWS},
          "return torch.cumsum(F.softplus(x), dim=1)"),
    Operator(
        "attention_pool",
        "Mean over positions, weighted by the softmax of their scores.",
        POOL_SMALL,
        POOL_FULL,
        {"x": "torch.randn(BATCH, LENGTH, DIM)", "scores": "torch.randn(BATCH, LENGTH)"},
        "return (torch.softmax(scores, dim=1).unsqueeze(-1) * x).sum(dim=1)",
        forbidden=("softmax",),
        family="fused_rows",
        level=2,
    ),
    Operator(
        "embedding_layer_norm",
        "Token and position embeddings added up, then layer normalisation.",
        TABLE_SMALL,
        TABLE_FULL,
        {"tokens": "torch.randint(0, ENTRIES, (BATCH, LENGTH))"},
        "return self.norm(self.tokens(tokens) + self.positions)",
        {"entries": "ENTRIES", "length": "LENGTH", "features": "DIM"},
        "self.tokens = nn.Embedding(entries, features)\n"
        "self.positions = nn.Parameter(torch.randn(length, features))\n"
        "self.norm = nn.LayerNorm(features)",
        family="fused_indexing",
        level=2,
    ),
    Operator(
        "lookup_scale_add",
        "Rows of a table, by index, scaled by each position's weight and added to the input.",
        TABLE_SMALL,
        TABLE_FULL,
        {
            "x": "torch.randn(BATCH, LENGTH, DIM)",
            "table": "torch.randn(ENTRIES, DIM)",
            "index": "torch.randint(0, ENTRIES, (BATCH, LENGTH))",
            "weight": "torch.randn(BATCH, LENGTH, 1)",
        },
        "return x + table[index] * weight",
        family="fused_indexing",
        level=2,
    ),
    Operator(
        "norm_rotary",
        "RMS normalisation of each head's vector, then rotary embedding.",
        HEADS_SMALL,
        HEADS_FULL,
        {
            "x": "torch.randn(BATCH, HEADS, LENGTH, DIM)",
            "cos": "torch.randn(LENGTH, DIM // 2)",
            "sin": "torch.randn(LENGTH, DIM // 2)",
        },
        "x = x * torch.rsqrt(x.square().mean(dim=-1, keepdim=True) + 1e-5) * self.weight\n"
        "left, right = x.chunk(2, dim=-1)\n"
        "return torch.cat([left * cos - right * sin, right * cos + left * sin], dim=-1)",
        {"features": "DIM"},
        WEIGHT,
        family="fused_attention",
        level=2,
    ),
)

"""Level 2: fusions around a matrix product."""

from __future__ import annotations

from collections.abc import Mapping

from tritonrl_core.tasks.suite.template import Dims, Operator

SMALL: Dims = {"M": (70, 48), "K": (70, 47), "N": (65, 31)}
FULL: Dims = {"M": (4096, 3000), "K": (2048, 1500), "N": (4096, 2600)}
ROWS_FULL: Dims = {"M": (16384, 9000), "K": (512, 390), "N": (256, 200)}
"""For fusions that need a whole row of the product: few columns."""
BATCHED_SMALL: Dims = {"BATCH": (3, 2), **SMALL}
BATCHED_FULL: Dims = {"BATCH": (32, 12), "M": (1024, 700), "K": (512, 390), "N": (1024, 850)}
HEADS_SMALL: Dims = {"BATCH": (2, 1), "HEADS": (2, 3), "LENGTH": (70, 50), "DIM": 16}
HEADS_FULL: Dims = {"BATCH": (4, 3), "HEADS": (16, 12), "LENGTH": (2048, 1500), "DIM": 64}
X = {"x": "torch.randn(M, K)"}
SHAPE = {"features": "K", "outputs": "N"}
LINEAR = "self.linear = nn.Linear(features, outputs)"
GATED = "self.gate = nn.Linear(features, outputs, bias=False)\nself.up = nn.Linear(features, outputs, bias=False)"
FAMILY = "fused_matmul"


def _linear(
    name: str,
    summary: str,
    forward: str,
    init: str = LINEAR,
    *,
    inputs: Mapping[str, str] | None = None,
    full: Dims = FULL,
    held_out: bool = False,
) -> Operator:
    forbidden = ("softmax",) if "softmax" in forward else ()
    return Operator(
        name, summary, SMALL, full, {**X, **(inputs or {})}, forward, SHAPE, init,
        held_out=held_out, forbidden=forbidden, family=FAMILY, level=2,
    )


def _product(name: str, summary: str, small: Dims, full: Dims, inputs: Mapping[str, str], forward: str, *,
             held_out: bool = False) -> Operator:
    forbidden = ("softmax",) if "softmax" in forward else ()
    return Operator(name, summary, small, full, inputs, forward, held_out=held_out, forbidden=forbidden, family=FAMILY,
                    level=2)


OPERATORS = (
    _linear("linear_relu", "Linear layer, then ReLU.", "return torch.relu(self.linear(x))"),
    _linear("linear_gelu_scale", "Linear layer, GELU, scale by 1.5.", "return F.gelu(self.linear(x)) * 1.5"),
    _linear("linear_residual", "Linear layer, then add the residual.", "return self.linear(x) + residual",
            inputs={"residual": "torch.randn(M, N)"}),
    _linear("linear_sigmoid_sum", "Linear layer, sigmoid, sum of each row.",
            "return torch.sigmoid(self.linear(x)).sum(dim=1)", full=ROWS_FULL),
    _linear("linear_max", "Linear layer, then the maximum of each row.", "return self.linear(x).amax(dim=1)",
            full=ROWS_FULL),
    _linear("linear_softmax", "Linear layer, then softmax of each row.", "return torch.softmax(self.linear(x), dim=-1)",
            full=ROWS_FULL, held_out=True),
    _linear("linear_layer_norm_gelu", "Linear layer, layer normalisation, GELU.",
            "return F.gelu(self.norm(self.linear(x)))", LINEAR + "\nself.norm = nn.LayerNorm(outputs)", full=ROWS_FULL),
    _linear("linear_batch_norm_leaky", "Linear layer, batch normalisation, leaky ReLU with slope 0.1.",
            "return F.leaky_relu(self.norm(self.linear(x)), negative_slope=0.1)",
            LINEAR + "\nself.norm = nn.BatchNorm1d(outputs)"),
    _linear("linear_clamp_mul", "Linear layer, clamp to [-1, 1], product with a vector.",
            "return torch.clamp(self.linear(x), -1, 1) * scale", inputs={"scale": "torch.randn(N)"}),
    _linear("linear_cross_entropy", "Linear layer, then the cross-entropy of each row against class indices.",
            'return F.cross_entropy(self.linear(x), labels, reduction="none")',
            inputs={"labels": "torch.randint(0, N, (M,))"}, full=ROWS_FULL, held_out=True),
    _linear("swiglu", "SiLU of one linear layer times another.", "return F.silu(self.gate(x)) * self.up(x)", GATED),
    _linear("geglu", "GELU of one linear layer times another.", "return F.gelu(self.gate(x)) * self.up(x)", GATED,
            held_out=True),
    Operator(
        "mlp",
        "Two linear layers with a ReLU between them.",
        {"M": (33, 48), "K": (50, 31), "HIDDEN": (40, 65), "N": (21, 37)},
        {"M": (32768, 20000), "K": (256, 200), "HIDDEN": (512, 300), "N": (256, 130)},
        X,
        "return self.second(torch.relu(self.first(x)))",
        {"features": "K", "hidden": "HIDDEN", "outputs": "N"},
        "self.first = nn.Linear(features, hidden)\nself.second = nn.Linear(hidden, outputs)",
        family=FAMILY,
        level=2,
    ),
    _product("matmul_scale_add", "Half the product of two matrices plus twice a third.", SMALL, FULL,
             {"a": "torch.randn(M, K)", "b": "torch.randn(K, N)", "c": "torch.randn(M, N)"},
             "return 0.5 * (a @ b) + 2 * c", held_out=True),
    _product("bmm_bias_relu", "Batched matrix product, add a vector, ReLU.", BATCHED_SMALL, BATCHED_FULL,
             {"a": "torch.randn(BATCH, M, K)", "b": "torch.randn(BATCH, K, N)", "bias": "torch.randn(N)"},
             "return torch.relu(torch.bmm(a, b) + bias)"),
    _product("pairwise_distance", "Squared Euclidean distances of all rows of one matrix from all rows of another.",
             SMALL, {"M": (4096, 3000), "K": (512, 390), "N": (4096, 2600)},
             {"a": "torch.randn(M, K)", "b": "torch.randn(N, K)"},
             "squares = a.square().sum(dim=1, keepdim=True) + b.square().sum(dim=1)\n"
             "return squares - 2 * (a @ b.T)"),
    _product("cosine_matrix", "Cosines between all rows of one matrix and all rows of another.",
             SMALL, {"M": (4096, 3000), "K": (512, 390), "N": (4096, 2600)},
             {"a": "torch.randn(M, K)", "b": "torch.randn(N, K)"},
             "norms = torch.linalg.vector_norm(a, dim=1, keepdim=True) * torch.linalg.vector_norm(b, dim=1)\n"
             "return a @ b.T / (norms + 1e-6)", held_out=True),
    _product("attention_bias", "Attention with a bias on the scores.", HEADS_SMALL, HEADS_FULL,
             dict.fromkeys("qkv", "torch.randn(BATCH, HEADS, LENGTH, DIM)") | {"bias": "torch.randn(LENGTH, LENGTH)"},
             "scores = q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5 + bias\n"
             "return torch.softmax(scores, dim=-1) @ v"),
)

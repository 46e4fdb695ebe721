"""Level 1: elementwise operators, with and without broadcasting."""

from __future__ import annotations

from tritonrl_core.tasks.suite.template import Operator

SMALL = {"ROWS": (37, 17, 64), "COLS": (130, 96, 257)}
FULL = {"ROWS": (8192, 5000), "COLS": (4096, 3001)}


def _unary(name: str, summary: str, expression: str, *, held_out: bool = False) -> Operator:
    inputs = {"x": "torch.randn(ROWS, COLS)"}
    return Operator(name, summary, SMALL, FULL, inputs, f"return {expression}", held_out=held_out, family="elementwise")


OPERATORS = (
    _unary("relu", "ReLU.", "torch.relu(x)"),
    _unary("leaky_relu", "Leaky ReLU with slope 0.1.", "F.leaky_relu(x, negative_slope=0.1)"),
    _unary("sigmoid", "Sigmoid.", "torch.sigmoid(x)"),
    _unary("tanh", "Hyperbolic tangent.", "torch.tanh(x)"),
    _unary("gelu", "GELU, exact.", "F.gelu(x)"),
    _unary("gelu_tanh", "GELU in its tanh form.", 'F.gelu(x, approximate="tanh")', held_out=True),
    _unary("silu", "SiLU (swish).", "F.silu(x)"),
    _unary("elu", "ELU with alpha 0.8.", "F.elu(x, alpha=0.8)", held_out=True),
    _unary("softplus", "Softplus.", "F.softplus(x)"),
    _unary("hardswish", "Hard swish.", "F.hardswish(x)", held_out=True),
    _unary("mish", "Mish.", "F.mish(x)", held_out=True),
    _unary("softsign", "Softsign.", "F.softsign(x)"),
    _unary("clamp", "Clamp to [-0.5, 1.5].", "torch.clamp(x, -0.5, 1.5)"),
    Operator(
        "add_bias",
        "Add a vector to every row.",
        SMALL,
        FULL,
        {"x": "torch.randn(ROWS, COLS)", "bias": "torch.randn(COLS)"},
        "return x + bias",
        family="elementwise",
    ),
    Operator(
        "lerp",
        "Interpolate between two tensors with a weight for every element.",
        SMALL,
        FULL,
        {"start": "torch.randn(ROWS, COLS)", "end": "torch.randn(ROWS, COLS)", "weight": "torch.rand(ROWS, COLS)"},
        "return torch.lerp(start, end, weight)",
        family="elementwise",
    ),
    Operator(
        "prelu",
        "PReLU with a learned slope for every channel.",
        {"BATCH": (2, 3), "CHANNELS": (7, 4), "LENGTH": (45, 130)},
        {"BATCH": (64, 40), "CHANNELS": (128, 100), "LENGTH": (4096, 3001)},
        {"x": "torch.randn(BATCH, CHANNELS, LENGTH)"},
        "return self.prelu(x)",
        {"channels": "CHANNELS"},
        "self.prelu = nn.PReLU(channels)",
        family="elementwise",
    ),
)

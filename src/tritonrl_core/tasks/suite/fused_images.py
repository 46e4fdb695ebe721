"""Level 2: fusions around convolutions, pooling and normalisations of images."""

from __future__ import annotations

from collections.abc import Mapping

from tritonrl_core.tasks.suite.convolution import IMAGE, IMAGE_FULL, IMAGE_SMALL, LINE_FULL, LINE_SMALL
from tritonrl_core.tasks.suite.template import Dims, Operator

PLAIN_SMALL: Dims = {"BATCH": (2, 3), "CHANNELS": (6, 9), "HEIGHT": (14, 21), "WIDTH": (11, 8)}
PLAIN_FULL: Dims = {"BATCH": (32, 20), "CHANNELS": (96, 60), "HEIGHT": (112, 90), "WIDTH": (112, 75)}
CONV = "self.conv = nn.Conv2d(channels, outputs, kernel, padding=1)"
CONV_ARGUMENTS = {"channels": "CHANNELS", "outputs": "OUTPUTS", "kernel": "KERNEL"}
FAMILY = "fused_images"


def _convolution(
    name: str, summary: str, forward: str, init: str = CONV, *, residual: bool = False, held_out: bool = False
) -> Operator:
    more = {"residual": "torch.randn(BATCH, OUTPUTS, HEIGHT, WIDTH)"} if residual else {}
    return Operator(name, summary, IMAGE_SMALL, IMAGE_FULL, {"x": IMAGE, **more}, forward, CONV_ARGUMENTS, init,
                    held_out=held_out, family=FAMILY, level=2)


def _image(
    name: str,
    summary: str,
    inputs: Mapping[str, str],
    forward: str,
    init: str = "",
    *,
    groups: int = 0,
    held_out: bool = False,
) -> Operator:
    arguments = ({"groups": "GROUPS"} if groups else {}) | ({"channels": "CHANNELS"} if init else {})
    fixed = {"GROUPS": groups} if groups else {}
    return Operator(name, summary, {**PLAIN_SMALL, **fixed}, {**PLAIN_FULL, **fixed}, inputs, forward, arguments, init,
                    held_out=held_out, family=FAMILY, level=2)


OPERATORS = (
    _convolution(
        "conv_batch_norm_relu",
        "Convolution, batch normalisation, ReLU.",
        "return torch.relu(self.norm(self.conv(x)))",
        CONV + "\nself.norm = nn.BatchNorm2d(outputs)",
    ),
    _convolution("conv_relu_max_pool", "Convolution, ReLU, maximum over windows of 2 by 2.",
                 "return F.max_pool2d(torch.relu(self.conv(x)), 2)"),
    _convolution("conv_residual_relu", "Convolution, add the residual, ReLU.",
                 "return torch.relu(self.conv(x) + residual)", residual=True),
    _convolution(
        "conv_scale_tanh",
        "Convolution, product with a learned scale for every channel, tanh.",
        "return torch.tanh(self.conv(x) * self.scale)",
        CONV + "\nself.scale = nn.Parameter(torch.randn(outputs, 1, 1))",
    ),
    _convolution("conv_gelu_global_mean", "Convolution, GELU, mean over all pixels of each channel.",
                 "return F.gelu(self.conv(x)).mean(dim=(2, 3))", held_out=True),
    Operator(
        "conv1d_silu",
        "One-dimensional convolution, then SiLU.",
        LINE_SMALL,
        LINE_FULL,
        {"x": "torch.randn(BATCH, CHANNELS, LENGTH)"},
        "return F.silu(self.conv(x))",
        CONV_ARGUMENTS,
        "self.conv = nn.Conv1d(channels, outputs, kernel, padding=1)",
        family=FAMILY,
        level=2,
    ),
    _image(
        "depthwise_batch_norm_hardswish",
        "Depthwise convolution of 3 by 3, batch normalisation, hard swish.",
        {"x": IMAGE},
        "return F.hardswish(self.norm(self.conv(x)))",
        "self.conv = nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False)\n"
        "self.norm = nn.BatchNorm2d(channels)",
        held_out=True,
    ),
    _image("batch_norm_add_relu", "Batch normalisation, add the residual, ReLU.", {"x": IMAGE, "residual": IMAGE},
           "return torch.relu(self.norm(x) + residual)", "self.norm = nn.BatchNorm2d(channels)"),
    _image("group_norm_silu", "Group normalisation in three groups, then SiLU.", {"x": IMAGE},
           "return F.silu(self.norm(x))", "self.norm = nn.GroupNorm(groups, channels)", groups=3, held_out=True),
    _image("pool_bias_sigmoid", "Maximum over windows of 2 by 2, add a bias for every channel, sigmoid.",
           {"x": IMAGE, "bias": "torch.randn(CHANNELS, 1, 1)"}, "return torch.sigmoid(F.max_pool2d(x, 2) + bias)"),
    _image("squeeze_scale", "Each channel times the sigmoid of its mean.", {"x": IMAGE},
           "return x * torch.sigmoid(x.mean(dim=(2, 3), keepdim=True))"),
)

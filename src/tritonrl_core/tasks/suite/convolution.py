"""Level 1: convolutions and pooling."""

from __future__ import annotations

from collections.abc import Mapping

from tritonrl_core.tasks.suite.template import Dims, Operator

LINE_SMALL: Dims = {"BATCH": (2, 3), "CHANNELS": (5, 8), "OUTPUTS": (7, 4), "LENGTH": (37, 50), "KERNEL": 3}
LINE_FULL: Dims = {"BATCH": (32, 20), "CHANNELS": (128, 96), "OUTPUTS": (256, 160), "LENGTH": (4096, 3001), "KERNEL": 3}
IMAGE_SMALL: Dims = {
    "BATCH": (2, 1), "CHANNELS": (5, 8), "OUTPUTS": (7, 4), "HEIGHT": (9, 12), "WIDTH": (11, 8), "KERNEL": 3,
}
IMAGE_FULL: Dims = {
    "BATCH": (16, 10), "CHANNELS": (64, 48), "OUTPUTS": (128, 80), "HEIGHT": (112, 90), "WIDTH": (112, 75), "KERNEL": 3,
}
POOL_SMALL: Dims = {"BATCH": (2, 3), "CHANNELS": (5, 8), "HEIGHT": (14, 21), "WIDTH": (23, 12)}
POOL_FULL: Dims = {"BATCH": (32, 20), "CHANNELS": (96, 60), "HEIGHT": (112, 90), "WIDTH": (112, 75)}
LINE = "torch.randn(BATCH, CHANNELS, LENGTH)"
IMAGE = "torch.randn(BATCH, CHANNELS, HEIGHT, WIDTH)"


def _convolution(
    name: str, summary: str, small: Dims, full: Dims, inputs: str, layer: str, *, held_out: bool = False
) -> Operator:
    arguments: Mapping[str, str] = {"channels": "CHANNELS", "outputs": "OUTPUTS", "kernel": "KERNEL"}
    return Operator(
        name,
        summary,
        small,
        full,
        {"x": inputs},
        "return self.conv(x)",
        {argument: constant for argument, constant in arguments.items() if argument in layer},
        f"self.conv = nn.{layer}",
        held_out=held_out,
        family="convolution",
    )


def _pooling(
    name: str, summary: str, small: Dims, full: Dims, inputs: str, expression: str, *, held_out: bool = False
) -> Operator:
    forward = f"return {expression}"
    return Operator(name, summary, small, full, {"x": inputs}, forward, held_out=held_out, family="pooling")


def _without(dims: Dims, *names: str) -> Dims:
    return {name: value for name, value in dims.items() if name not in names}


OPERATORS = (
    _convolution(
        "conv1d",
        "One-dimensional convolution with bias.",
        LINE_SMALL,
        LINE_FULL,
        LINE,
        "Conv1d(channels, outputs, kernel, padding=1)",
    ),
    _convolution(
        "conv2d",
        "Two-dimensional convolution with bias.",
        IMAGE_SMALL,
        IMAGE_FULL,
        IMAGE,
        "Conv2d(channels, outputs, kernel, padding=1)",
    ),
    _convolution(
        "conv2d_strided",
        "Two-dimensional convolution with stride 2 and no bias.",
        IMAGE_SMALL,
        IMAGE_FULL,
        IMAGE,
        "Conv2d(channels, outputs, kernel, stride=2, bias=False)",
    ),
    _convolution(
        "depthwise_conv2d",
        "Depthwise two-dimensional convolution.",
        _without(IMAGE_SMALL, "OUTPUTS"),
        _without(IMAGE_FULL, "OUTPUTS"),
        IMAGE,
        "Conv2d(channels, channels, kernel, padding=1, groups=channels)",
    ),
    _convolution(
        "pointwise_conv2d",
        "Convolution of images with a kernel of size 1.",
        _without(IMAGE_SMALL, "KERNEL"),
        _without(IMAGE_FULL, "KERNEL"),
        IMAGE,
        "Conv2d(channels, outputs, 1)",
    ),
    _convolution(
        "conv_transpose1d",
        "One-dimensional transposed convolution with stride 2.",
        LINE_SMALL,
        LINE_FULL,
        LINE,
        "ConvTranspose1d(channels, outputs, kernel, stride=2)",
        held_out=True,
    ),
    _pooling("max_pool1d", "Maximum over windows of 3 with stride 2.", _without(LINE_SMALL, "OUTPUTS", "KERNEL"),
             _without(LINE_FULL, "OUTPUTS", "KERNEL"), LINE, "F.max_pool1d(x, 3, stride=2)"),
    _pooling("max_pool2d", "Maximum over windows of 3 by 3 with stride 2 and padding 1.", POOL_SMALL, POOL_FULL, IMAGE,
             "F.max_pool2d(x, 3, stride=2, padding=1)"),
    _pooling("avg_pool1d", "Mean over windows of 4 with stride 2.", _without(LINE_SMALL, "OUTPUTS", "KERNEL"),
             _without(LINE_FULL, "OUTPUTS", "KERNEL"), LINE, "F.avg_pool1d(x, 4, stride=2)", held_out=True),
    _pooling("avg_pool2d", "Mean over windows of 2 by 2.", POOL_SMALL, POOL_FULL, IMAGE, "F.avg_pool2d(x, 2)"),
    _pooling("global_avg_pool2d", "Mean over all pixels of each channel.", POOL_SMALL, POOL_FULL, IMAGE,
             "F.adaptive_avg_pool2d(x, 1)"),
)

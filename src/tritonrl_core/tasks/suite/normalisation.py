"""Level 1: normalisations."""

from __future__ import annotations

from tritonrl_core.tasks.suite.template import Dims, Operator

ROWS_SMALL: Dims = {"ROWS": (37, 17, 64), "COLS": (130, 96, 257)}
ROWS_FULL: Dims = {"ROWS": (8192, 5000), "COLS": (4096, 3001)}
IMAGE_SMALL: Dims = {"BATCH": (2, 3), "CHANNELS": (6, 9), "HEIGHT": (9, 14), "WIDTH": (11, 7)}
IMAGE_FULL: Dims = {"BATCH": (32, 20), "CHANNELS": (96, 60), "HEIGHT": (112, 90), "WIDTH": (112, 75)}
ROWS = {"x": "torch.randn(ROWS, COLS)"}
IMAGE = {"x": "torch.randn(BATCH, CHANNELS, HEIGHT, WIDTH)"}
FAMILY = "normalisation"

OPERATORS = (
    Operator(
        "layer_norm",
        "Layer normalisation of each row with learned weight and bias.",
        ROWS_SMALL,
        ROWS_FULL,
        ROWS,
        "return self.norm(x)",
        {"features": "COLS"},
        "self.norm = nn.LayerNorm(features)",
        family=FAMILY,
    ),
    Operator(
        "rms_norm",
        "RMS normalisation of each row with a learned weight.",
        ROWS_SMALL,
        ROWS_FULL,
        ROWS,
        "return x * torch.rsqrt(x.square().mean(dim=-1, keepdim=True) + 1e-5) * self.weight",
        {"features": "COLS"},
        "self.weight = nn.Parameter(torch.ones(features))",
        family=FAMILY,
    ),
    Operator(
        "batch_norm",
        "Batch normalisation of images with running statistics.",
        IMAGE_SMALL,
        IMAGE_FULL,
        IMAGE,
        "return self.norm(x)",
        {"channels": "CHANNELS"},
        "self.norm = nn.BatchNorm2d(channels)",
        family=FAMILY,
    ),
    Operator(
        "group_norm",
        "Group normalisation of images in three groups of channels.",
        {**IMAGE_SMALL, "GROUPS": 3},
        {**IMAGE_FULL, "GROUPS": 3},
        IMAGE,
        "return self.norm(x)",
        {"groups": "GROUPS", "channels": "CHANNELS"},
        "self.norm = nn.GroupNorm(groups, channels)",
        family=FAMILY,
    ),
    Operator(
        "instance_norm",
        "Instance normalisation of images with learned weight and bias.",
        IMAGE_SMALL,
        IMAGE_FULL,
        IMAGE,
        "return self.norm(x)",
        {"channels": "CHANNELS"},
        "self.norm = nn.InstanceNorm2d(channels, affine=True)",
        held_out=True,
        family=FAMILY,
    ),
    Operator(
        "l2_normalize",
        "Each row divided by its Euclidean norm.",
        ROWS_SMALL,
        ROWS_FULL,
        ROWS,
        "return x / (torch.linalg.vector_norm(x, dim=1, keepdim=True) + 1e-6)",
        family=FAMILY,
    ),
    Operator(
        "channel_rms_norm",
        "RMS normalisation of images over the channels.",
        IMAGE_SMALL,
        IMAGE_FULL,
        IMAGE,
        "return x / torch.sqrt(x.square().mean(dim=1, keepdim=True) + 1e-5)",
        held_out=True,
        family=FAMILY,
    ),
)

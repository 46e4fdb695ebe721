"""The frames that fusions are built in: which tensors there are, their sizes, and what a fusion may start from.

A frame says what a tile is: a row; a block of a matrix product; output channels by pixels of a convolution; one channel
of an image. What is done to the tile is the graph's matter.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from random import Random

Dim = int | tuple[int, ...]
"""An integer constant of the reference: as written, followed by the values that it may take beside."""

Sizes = tuple[Mapping[str, Dim], Mapping[str, Dim]]
"""The same constants at the small and at the full size."""


@dataclass(frozen=True)
class Head:
    """What a fusion starts from. `torch` gives its values; `inputs` maps arguments of `forward` to the expressions that
    draw them, `init` are the lines that make its layers. `needs` are constants that only this head has."""

    phrase: str
    torch: tuple[str, ...]
    inputs: Mapping[str, str]
    init: tuple[str, ...] = ()
    tag: str = "any"
    weight: float = 1.0


@dataclass(frozen=True)
class Frame:
    """`shapes` are those of the tensors beside the tile, by kind; a kind that is missing cannot be had here.

    `width` is the argument of `Model(...)` that a layer over the vectors' dimension takes, `dims` the dimensions that a
    reduction goes over, `closing` how a reduced value loses them at the end. `avoid` are operators that make no sense
    here, and `sizes` sets of dimensions to choose from.
    """

    name: str
    title: str
    family: str
    heads: Mapping[str, Head]
    shapes: Mapping[str, str]
    init_inputs: Mapping[str, str]
    width: str
    sizes: tuple[Sizes, ...]
    dims: str = "-1"
    closing: str = "{x}.squeeze(-1)"
    batch_norm: str = ""
    avoid: frozenset[str] = field(default_factory=frozenset)
    reduces: bool = True
    narrow: tuple[Sizes, ...] = ()
    """Sizes where a whole row fits one program; `sizes` where there is no such need."""


_X_ROWS = {"x": "torch.randn(ROWS, COLS)"}
_TABLE = {"table": "torch.randn(ENTRIES, COLS)", "index": "torch.randint(0, ENTRIES, (ROWS,))"}
_ROW_SHAPES = {
    "tile": "torch.randn(ROWS, COLS)", "vector": "torch.randn(COLS)", "stat": "torch.randn(ROWS, 1)",
    "mask": "torch.rand(ROWS, COLS) < 0.6", "labels": "torch.randint(0, COLS, (ROWS,))",
}  # fmt: skip
_NO_ROWS = frozenset({"max_pool", "avg_pool", "batch_norm"})

ROWS = Frame(
    "rows", "rows", "fused_rows",
    heads={"plain": Head("", ("x",), _X_ROWS, tag="input", weight=6)},
    shapes=_ROW_SHAPES, init_inputs={"features": "COLS"}, width="features", avoid=_NO_ROWS,
    sizes=(
        ({"ROWS": (37, 17, 64), "COLS": (130, 96, 257)}, {"ROWS": (8192, 5000), "COLS": (4096, 3001)}),
        ({"ROWS": (29, 8, 70), "COLS": (200, 77, 320)}, {"ROWS": (16384, 9001), "COLS": (2048, 1500)}),
        ({"ROWS": (51, 33, 90), "COLS": (67, 48, 129)}, {"ROWS": (32768, 20000), "COLS": (1024, 770)}),
        ({"ROWS": (12, 5, 21), "COLS": (450, 300, 515)}, {"ROWS": (4096, 2500), "COLS": (8192, 6000)}),
    ),
)  # fmt: skip

LOOKUP = Frame(
    "lookup", "rows of a table", "fused_indexing",
    heads={
        "table": Head("rows of a table by index", ("table[index]",), _TABLE),
        "embedding": Head("rows of an embedding", ("self.table(index)",), {"index": _TABLE["index"]},
                          ("self.table = nn.Embedding(entries, features)",)),
    },
    shapes=_ROW_SHAPES, init_inputs={"entries": "ENTRIES", "features": "COLS"}, width="features", avoid=_NO_ROWS,
    sizes=(
        ({"ROWS": (37, 17, 64), "COLS": (130, 96, 257), "ENTRIES": (21, 40)},
         {"ROWS": (32768, 20000), "COLS": (1024, 700), "ENTRIES": (32000, 20001)}),
        ({"ROWS": (40, 9, 75), "COLS": (72, 50, 140), "ENTRIES": (33, 18)},
         {"ROWS": (16384, 9000), "COLS": (2048, 1500), "ENTRIES": (50257, 30000)}),
    ),
)  # fmt: skip

_LINEAR = "self.linear = nn.Linear(features, outputs)"
_PAIR = ("self.gate = nn.Linear(features, outputs, bias=False)", "self.up = nn.Linear(features, outputs, bias=False)")
_X = {"x": "torch.randn(M, K)"}
_INT8 = {"weight": "torch.randint(-127, 128, (N, K), dtype=torch.int8)"}

PRODUCT = Frame(
    "product", "a matrix product", "fused_matmul",
    heads={
        "linear": Head("linear layer", ("self.linear(x)",), _X, (_LINEAR,), weight=4),
        "linear_no_bias": Head("linear layer without bias", ("self.linear(x)",), _X,
                               (_LINEAR.replace(")", ", bias=False)"),), weight=2),
        "matmul": Head("product of two matrices", ("x @ other",), {**_X, "other": "torch.randn(K, N)"}, weight=2),
        "matmul_t": Head("product with a transposed matrix", ("x @ other.T",), {**_X, "other": "torch.randn(N, K)"}),
        "gated": Head("two linear layers", ("self.gate(x)", "self.up(x)"), _X, _PAIR, weight=0),
        "int8": Head("product with an int8 matrix", ("x @ weight.to(x.dtype).T",), {**_X, **_INT8}, weight=0),
        "int8_both": Head(
            "product of the input, rounded to int8 in steps of 1/16, with an int8 matrix",
            ("torch.clamp(torch.round(x * 16), -127, 127) @ weight.to(x.dtype).T",), {**_X, **_INT8}, weight=0),
    },
    shapes={
        "tile": "torch.randn(M, N)", "vector": "torch.randn(N)", "stat": "torch.randn(M, 1)",
        "mask": "torch.rand(M, N) < 0.6", "labels": "torch.randint(0, N, (M,))",
    },
    init_inputs={"features": "K", "outputs": "N"}, width="outputs", batch_norm="nn.BatchNorm1d",
    avoid=frozenset({"max_pool", "avg_pool", "cumsum"}),
    sizes=(
        ({"M": (70, 48), "K": (70, 47), "N": (65, 31)}, {"M": (4096, 3000), "K": (2048, 1500), "N": (4096, 2600)}),
        ({"M": (45, 80), "K": (33, 64), "N": (90, 50)}, {"M": (16384, 9000), "K": (512, 390), "N": (2048, 1500)}),
        ({"M": (33, 18), "K": (96, 50), "N": (40, 72)}, {"M": (32768, 17000), "K": (256, 200), "N": (1024, 700)}),
    ),
    narrow=(
        ({"M": (70, 48), "K": (70, 47), "N": (65, 31)}, {"M": (16384, 9000), "K": (512, 390), "N": (256, 200)}),
        ({"M": (45, 21), "K": (40, 64), "N": (100, 57)}, {"M": (32768, 20000), "K": (256, 130), "N": (128, 101)}),
    ),
)  # fmt: skip

_IMAGE = {"x": "torch.randn(BATCH, CHANNELS, HEIGHT, WIDTH)"}
_CONV = "self.conv = nn.Conv2d(channels, outputs, kernel, padding=kernel // 2)"
_CONV_SMALL: Mapping[str, Dim] = {"BATCH": (2, 1), "CHANNELS": (5, 8), "OUTPUTS": (7, 4), "HEIGHT": (9, 12),
                                  "WIDTH": (11, 8)}  # fmt: skip
_CONV_FULL: Mapping[str, Dim] = {"BATCH": (16, 10), "CHANNELS": (64, 48), "OUTPUTS": (128, 80), "HEIGHT": (112, 90),
                                 "WIDTH": (112, 75)}  # fmt: skip

CONVOLUTION = Frame(
    "convolution", "a convolution", "fused_images",
    heads={
        "conv": Head("convolution", ("self.conv(x)",), _IMAGE, (_CONV,), weight=2),
        "conv_no_bias": Head("convolution without bias", ("self.conv(x)",), _IMAGE,
                             (_CONV.replace("// 2)", "// 2, bias=False)"),)),
    },
    shapes={
        "tile": "torch.randn(BATCH, OUTPUTS, HEIGHT, WIDTH)", "vector": "torch.randn(OUTPUTS, 1, 1)",
        "mask": "torch.rand(BATCH, OUTPUTS, HEIGHT, WIDTH) < 0.6",
    },
    init_inputs={"channels": "CHANNELS", "outputs": "OUTPUTS", "kernel": "KERNEL"}, width="outputs",
    batch_norm="nn.BatchNorm2d", reduces=False,
    sizes=(
        ({**_CONV_SMALL, "KERNEL": 3}, {**_CONV_FULL, "KERNEL": 3}),
        ({**_CONV_SMALL, "KERNEL": 1}, {**_CONV_FULL, "KERNEL": 1}),
        ({**_CONV_SMALL, "CHANNELS": (6, 3), "KERNEL": 5}, {**_CONV_FULL, "CHANNELS": (32, 24), "KERNEL": 5}),
    ),
)  # fmt: skip

PLANES = Frame(
    "planes", "channels of images", "fused_images",
    heads={"plain": Head("", ("x",), _IMAGE, tag="input")},
    shapes={
        "tile": "torch.randn(BATCH, CHANNELS, HEIGHT, WIDTH)", "vector": "torch.randn(CHANNELS, 1, 1)",
        "stat": "torch.randn(BATCH, CHANNELS, 1, 1)", "mask": "torch.rand(BATCH, CHANNELS, HEIGHT, WIDTH) < 0.6",
    },
    init_inputs={"channels": "CHANNELS"}, width="channels", batch_norm="nn.BatchNorm2d", dims="(2, 3)",
    closing="{x}.flatten(1)",
    avoid=frozenset({"max_pool", "avg_pool", "softmax", "log_softmax", "cumsum", "layer_norm", "rms_norm", "mask_out",
                     "pick"}),
    sizes=(
        ({"BATCH": (2, 3), "CHANNELS": (6, 9), "HEIGHT": (14, 21), "WIDTH": (11, 8)},
         {"BATCH": (64, 40), "CHANNELS": (256, 160), "HEIGHT": (56, 45), "WIDTH": (56, 39)}),
        ({"BATCH": (3, 1), "CHANNELS": (5, 8), "HEIGHT": (10, 17), "WIDTH": (13, 9)},
         {"BATCH": (128, 70), "CHANNELS": (512, 300), "HEIGHT": (28, 21), "WIDTH": (28, 25)}),
    ),
)  # fmt: skip

FRAMES: Mapping[str, Frame] = {frame.name: frame for frame in (ROWS, LOOKUP, PRODUCT, CONVOLUTION, PLANES)}

KEPT = ("BATCH", "KERNEL")
SIZES = 64
"""How many sets of dimensions there are: those above, and others drawn around them."""


def dimensions(choices: Sequence[Sizes], number: int, size: str) -> dict[str, Dim]:
    """Set `number` of dimensions at size `small` or `full`. The same everywhere."""
    dims = choices[number % len(choices)][size == "full"]
    if number < len(choices):
        return dict(dims)
    rng = Random(f"sizes/{number}/{size}")
    return {name: value if name in KEPT else _near(value, rng, size) for name, value in dims.items()}


def _near(value: Dim, rng: Random, size: str) -> Dim:
    """Another dimension of the same order."""
    factor = rng.uniform(0.75, 1.25) if size == "small" else rng.choice((0.5, 0.625, 0.75, 0.875, 1.0))
    more = rng.randint(0, 3) if size == "small" else 0
    return tuple(round(choice * factor) + more for choice in value) if isinstance(value, tuple) else value

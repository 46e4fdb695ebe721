"""Normalisation and rotary embedding of queries and keys: the one pattern that is not steps on a tile. Its variants
and their reference; the kernel is in `rotary_kernel`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from random import Random

from tritonrl_plugin_fusion.frames import Dim

_SIZES: tuple[tuple[Mapping[str, Dim], Mapping[str, Dim]], ...] = (
    ({"BATCH": (2, 1), "HEADS": (2, 3), "LENGTH": (37, 50), "DIM": 16},
     {"BATCH": (16, 12), "HEADS": (16, 12), "LENGTH": (2048, 1500), "DIM": 64}),
    ({"BATCH": (1, 2), "HEADS": (3, 2), "LENGTH": (29, 41), "DIM": 20},
     {"BATCH": (8, 5), "HEADS": (32, 20), "LENGTH": (4096, 3001), "DIM": 128}),
    ({"BATCH": (3, 1), "HEADS": (2, 4), "LENGTH": (19, 33), "DIM": 32},
     {"BATCH": (32, 20), "HEADS": (8, 12), "LENGTH": (1024, 700), "DIM": 96}),
)  # fmt: skip
_NORMS = {
    "rms": "{x} = {x} * torch.rsqrt({x}.square().mean(dim=-1, keepdim=True) + 1e-5){w}",
    "l2": "{x} = {x} / ({x}.norm(dim=-1, keepdim=True) + 1e-6){w}",
}
_SAID = {"none": "", "rms": "RMS normalisation of each head's vector, ", "l2": "each head's vector to length 1, "}


@dataclass(frozen=True, slots=True)
class Rotary:
    """A variant: which normalisation (`none`, `rms`, `l2`), with a weight or not, halves or neighbours rotated, `q`
    alone or `q` and `k`, and a number that `q` is scaled by (0: none)."""

    norm: str
    weight: bool
    interleaved: bool
    pair: bool
    scale: float
    sizes: int

    @property
    def heads(self) -> tuple[str, ...]:
        return ("q", "k") if self.pair else ("q",)

    @property
    def summary(self) -> str:
        which = "Queries and keys" if self.pair else "Queries"
        weighted = "times a weight, " if self.weight else ""
        how = "neighbouring elements rotated" if self.interleaved else "the two halves rotated"
        scaled = f", the queries scaled by {self.scale:g}" if self.scale else ""
        return f"{which}: {_SAID[self.norm]}{weighted}rotary embedding with {how}{scaled}."


def qk_norm_rotary(rng: Random) -> Rotary:
    """Draw a variant."""
    norm = rng.choice(("none", "rms", "rms", "l2"))
    return Rotary(norm, norm != "none" and rng.random() < 0.5, rng.random() < 0.5, rng.random() < 0.6,
                  rng.choice((0.0, 0.125, 0.25)), rng.randrange(len(_SIZES)))  # fmt: skip


def dimensions(rotary: Rotary, size: str) -> Mapping[str, Dim]:
    return _SIZES[rotary.sizes % len(_SIZES)][size == "full"]


def forward(rotary: Rotary) -> tuple[list[str], list[str], dict[str, str]]:
    """Lines of `__init__`, lines of `forward`, and the arguments of `forward` with what draws them."""
    init = ["self.weight = nn.Parameter(torch.randn(features))"] if rotary.weight else []
    weight = " * self.weight" if rotary.weight else ""
    lines, results = [], []
    for x in rotary.heads:
        if rotary.norm != "none":
            lines.append(_NORMS[rotary.norm].format(x=x, w=weight))
        if rotary.interleaved:
            lines.append(f"left, right = {x}[..., ::2], {x}[..., 1::2]")
            joined = "torch.stack([left * cos - right * sin, right * cos + left * sin], dim=-1).flatten(-2)"
        else:
            lines.append(f"left, right = {x}.chunk(2, dim=-1)")
            joined = "torch.cat([left * cos - right * sin, right * cos + left * sin], dim=-1)"
        lines.append(f"{x} = {joined}")
        results.append(f"{x} * {rotary.scale:g}" if x == "q" and rotary.scale else x)
    lines.append(f"return {', '.join(results)}")
    vectors = dict.fromkeys(rotary.heads, "torch.randn(BATCH, HEADS, LENGTH, DIM)")
    return init, lines, {**vectors, **dict.fromkeys(("cos", "sin"), "torch.randn(LENGTH, DIM // 2)")}

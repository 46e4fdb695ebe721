"""Normalisation and rotary embedding of queries and keys: the one pattern that is not steps on a tile.

Its pieces are those of the golden `l2_norm_rotary`: a program takes 32 heads' vectors as two tiles of their halves.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from random import Random

from tritonrl_plugin_fusion.frames import Dim
from tritonrl_plugin_fusion.kernels import Solution

_SIZES: tuple[tuple[Mapping[str, Dim], Mapping[str, Dim]], ...] = (
    ({"BATCH": (2, 1), "HEADS": (2, 3), "LENGTH": (37, 50), "DIM": 16},
     {"BATCH": (16, 12), "HEADS": (16, 12), "LENGTH": (2048, 1500), "DIM": 64}),
    ({"BATCH": (1, 2), "HEADS": (3, 2), "LENGTH": (29, 41), "DIM": 20},
     {"BATCH": (8, 5), "HEADS": (32, 20), "LENGTH": (4096, 3001), "DIM": 128}),
    ({"BATCH": (3, 1), "HEADS": (2, 4), "LENGTH": (19, 33), "DIM": 32},
     {"BATCH": (32, 20), "HEADS": (8, 12), "LENGTH": (1024, 700), "DIM": 96}),
)  # fmt: skip
_NORMS = {
    "none": ("", ""),
    "rms": ("{x} = {x} * torch.rsqrt({x}.square().mean(dim=-1, keepdim=True) + 1e-5){w}",
            "scale = tl.rsqrt(tl.sum(left * left + right * right, axis=1) / (2 * half) + 1e-5)[:, None]"),
    "l2": ("{x} = {x} / ({x}.norm(dim=-1, keepdim=True) + 1e-6){w}",
           "scale = 1.0 / (tl.sqrt(tl.sum(left * left + right * right, axis=1)) + 1e-6)[:, None]"),
}  # fmt: skip
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
            lines.append(_NORMS[rotary.norm][0].format(x=x, w=weight))
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


def solution(rotary: Rotary) -> Solution:
    """One kernel, launched once for each of the tensors."""
    at_left = "vector[:, None] * 2 * half + " + ("2 * col[None, :]" if rotary.interleaved else "col[None, :]")
    step = "1" if rotary.interleaved else "half"
    body = [
        "vector = tl.program_id(0) * VECTORS + tl.arange(0, VECTORS)",
        "col = tl.arange(0, HALF)",
        "mask = (vector[:, None] < n) & (col[None, :] < half)",
        f"offsets = {at_left}",
        "left = tl.load(x_ptr + offsets, mask=mask, other=0.0).to(tl.float32)",
        f"right = tl.load(x_ptr + offsets + {step}, mask=mask, other=0.0).to(tl.float32)",
    ]
    if rotary.norm != "none":
        body += [_NORMS[rotary.norm][1], "left *= scale", "right *= scale"]
    if rotary.weight:
        own = "2 * col" if rotary.interleaved else "col"
        for side, at in (("left", own), ("right", f"{step} + {own}")):
            body.append(f"{side} *= tl.load(weight_ptr + {at}, mask=col < half, other=0.0).to(tl.float32)[None, :]")
    body += [
        "position = (vector % length)[:, None]",
        "cos = tl.load(cos_ptr + position * cos_row + col[None, :] * cos_col, mask=mask, other=0.0).to(tl.float32)",
        "sin = tl.load(sin_ptr + position * sin_row + col[None, :] * sin_col, mask=mask, other=0.0).to(tl.float32)",
        "tl.store(out_ptr + offsets, (left * cos - right * sin) * by, mask=mask)",
        f"tl.store(out_ptr + offsets + {step}, (right * cos + left * sin) * by, mask=mask)",
    ]
    weight, given = ("weight_ptr, ", "self.weight, ") if rotary.weight else ("", "")
    init = (
        "    def __init__(self, features):\n        super().__init__()\n"
        "        self.weight = torch.nn.Parameter(torch.randn(features))\n\n"
        if rotary.weight
        else ""
    )
    results = [f"self.rotated({x}, cos, sin, {rotary.scale if x == 'q' and rotary.scale else 1.0})"
               for x in rotary.heads]  # fmt: skip
    code = f"""\
import torch
import triton
import triton.language as tl


@triton.jit
def norm_rotary_kernel(
    x_ptr, cos_ptr, sin_ptr, {weight}out_ptr, n, length, half, by, cos_row, cos_col, sin_row, sin_col,
    VECTORS: tl.constexpr, HALF: tl.constexpr,
):
{chr(10).join("    " + line for line in body)}


class ModelNew(torch.nn.Module):
{init}    def rotated(self, x, cos, sin, by):
        x = x.contiguous()
        batch, heads, length, dim = x.shape
        n = batch * heads * length
        out = torch.empty_like(x)
        norm_rotary_kernel[(triton.cdiv(n, 32),)](
            x, cos, sin, {given}out, n, length, dim // 2, by,
            cos.stride(0), cos.stride(1), sin.stride(0), sin.stride(1),
            VECTORS=32, HALF=triton.next_power_of_2(dim // 2), num_warps=4,
        )
        return out

    def forward(self, {", ".join([*rotary.heads, "cos", "sin"])}):
        return {", ".join(results)}
"""
    plan = (
        f"{rotary.summary} One pass over each tensor: a program takes 32 vectors as two tiles, one for each half of "
        "the pairs, so that what is summed over a vector and the rotation both happen in registers; 4 warps."
    )
    return Solution(plan, code)

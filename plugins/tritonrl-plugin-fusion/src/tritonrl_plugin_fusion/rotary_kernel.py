"""The kernel of `rotary`: normalisation and rotation in one pass over a tensor.

Its pieces are those of the golden `l2_norm_rotary`: a program takes 32 heads' vectors as two tiles of their halves.
"""

from __future__ import annotations

from tritonrl_plugin_fusion.rotary import Rotary
from tritonrl_plugin_fusion.solution import Solution

_CODE = """\
import torch
import triton
import triton.language as tl


@triton.jit
def norm_rotary_kernel(
    x_ptr, cos_ptr, sin_ptr, {weight_ptr}out_ptr, n, length, half, by, cos_row, cos_col, sin_row, sin_col,
    VECTORS: tl.constexpr, HALF: tl.constexpr,
):
{body}


class ModelNew(torch.nn.Module):
{init}    def rotated(self, x, cos, sin, by):
        x = x.contiguous()
        batch, heads, length, dim = x.shape
        n = batch * heads * length
        out = torch.empty_like(x)
        norm_rotary_kernel[(triton.cdiv(n, 32),)](
            x, cos, sin, {weight}out, n, length, dim // 2, by,
            cos.stride(0), cos.stride(1), sin.stride(0), sin.stride(1),
            VECTORS=32, HALF=triton.next_power_of_2(dim // 2), num_warps=4,
        )
        return out

    def forward(self, {arguments}):
        return {results}
"""
_INIT = """\
    def __init__(self, features):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.randn(features))

"""
_LOAD = """\
vector = tl.program_id(0) * VECTORS + tl.arange(0, VECTORS)
col = tl.arange(0, HALF)
mask = (vector[:, None] < n) & (col[None, :] < half)
offsets = vector[:, None] * 2 * half + {element}[None, :]
left = tl.load(x_ptr + offsets, mask=mask, other=0.0).to(tl.float32)
right = tl.load(x_ptr + offsets + {step}, mask=mask, other=0.0).to(tl.float32)
"""
_NORMS = {
    "rms": "scale = tl.rsqrt(tl.sum(left * left + right * right, axis=1) / (2 * half) + 1e-5)[:, None]\n",
    "l2": "scale = 1.0 / (tl.sqrt(tl.sum(left * left + right * right, axis=1)) + 1e-6)[:, None]\n",
}
_NORMALISE = """\
left *= scale
right *= scale
"""
_WEIGH = """\
left *= tl.load(weight_ptr + {element}, mask=col < half, other=0.0).to(tl.float32)[None, :]
right *= tl.load(weight_ptr + {step} + {element}, mask=col < half, other=0.0).to(tl.float32)[None, :]
"""
_ROTATE = """\
position = (vector % length)[:, None]
cos = tl.load(cos_ptr + position * cos_row + col[None, :] * cos_col, mask=mask, other=0.0).to(tl.float32)
sin = tl.load(sin_ptr + position * sin_row + col[None, :] * sin_col, mask=mask, other=0.0).to(tl.float32)
tl.store(out_ptr + offsets, (left * cos - right * sin) * by, mask=mask)
tl.store(out_ptr + offsets + {step}, (right * cos + left * sin) * by, mask=mask)
"""


def solution(rotary: Rotary) -> Solution:
    """One kernel, launched once for each of the tensors."""
    results = [
        f"self.rotated({x}, cos, sin, {rotary.scale if x == 'q' and rotary.scale else 1.0})" for x in rotary.heads
    ]
    code = _CODE.format(
        weight_ptr="weight_ptr, " if rotary.weight else "",
        weight="self.weight, " if rotary.weight else "",
        body="\n".join("    " + line for line in _body(rotary).splitlines()),
        init=_INIT if rotary.weight else "",
        arguments=", ".join([*rotary.heads, "cos", "sin"]),
        results=", ".join(results),
    )
    plan = (
        f"{rotary.summary} One pass over each tensor: a program takes 32 vectors as two tiles, one for each half of "
        "the pairs, so that what is summed over a vector and the rotation both happen in registers; 4 warps."
    )
    return Solution(plan, code)


def _body(rotary: Rotary) -> str:
    text = _LOAD
    if rotary.norm != "none":
        text += _NORMS[rotary.norm] + _NORMALISE
    if rotary.weight:
        text += _WEIGH
    element, step = ("2 * col", "1") if rotary.interleaved else ("col", "half")
    return (text + _ROTATE).format(element=element, step=step)

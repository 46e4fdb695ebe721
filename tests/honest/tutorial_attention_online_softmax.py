# task: attention
# expect: PASSED
# One pass over the keys; sum and maximum are corrected as it goes.
import torch
import torch.nn as nn
import triton
import triton.language as tl


@triton.jit
def attention_kernel(
    q_ptr, k_ptr, v_ptr, o_ptr, q_b, q_l, q_d, k_b, k_l, k_d, v_b, v_l, v_d, L, scale,
    BM: tl.constexpr, BN: tl.constexpr, D: tl.constexpr,
):
    head = tl.program_id(1)
    m = tl.program_id(0) * BM + tl.arange(0, BM)
    d = tl.arange(0, D)
    q = tl.load(q_ptr + head * q_b + m[:, None] * q_l + d[None, :] * q_d, mask=m[:, None] < L, other=0.0)
    top = tl.full((BM,), float("-inf"), tl.float32)
    total = tl.zeros((BM,), tl.float32)
    acc = tl.zeros((BM, D), tl.float32)
    for start in range(0, L, BN):
        n = start + tl.arange(0, BN)
        k = tl.load(k_ptr + head * k_b + n[None, :] * k_l + d[:, None] * k_d, mask=n[None, :] < L, other=0.0)
        v = tl.load(v_ptr + head * v_b + n[:, None] * v_l + d[None, :] * v_d, mask=n[:, None] < L, other=0.0)
        s = tl.dot(q, k, input_precision="ieee") * scale
        s = tl.where(n[None, :] < L, s, float("-inf"))
        new = tl.maximum(top, tl.max(s, axis=1))
        p = tl.exp(s - new[:, None])
        fix = tl.exp(top - new)
        total = total * fix + tl.sum(p, axis=1)
        acc = tl.dot(p, v, acc * fix[:, None], input_precision="ieee")
        top = new
    out = acc / total[:, None]
    tl.store(o_ptr + head * L * D + m[:, None] * D + d[None, :], out, mask=m[:, None] < L)


class ModelNew(nn.Module):
    def forward(self, q, k, v):
        B, H, L, D = q.shape
        q, k, v = (t.reshape(B * H, L, D) for t in (q, k, v))
        o = torch.empty((B, H, L, D), dtype=q.dtype, device=q.device)
        attention_kernel[(triton.cdiv(L, 16), B * H)](
            q, k, v, o, *q.stride(), *k.stride(), *v.stride(), L, D**-0.5, BM=16, BN=16, D=D
        )
        return o

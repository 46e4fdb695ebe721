"""Two lookups, addition and layer normalisation in one kernel: one program a token, whose sum stays in
registers. BLOCK is the next power of two of the width; 4 warps.
"""

import torch
import triton
import triton.language as tl


@triton.jit
def embedding_layer_norm_kernel(
    index_ptr, table_ptr, positions_ptr, weight_ptr, bias_ptr, out_ptr, length, dim, BLOCK: tl.constexpr
):
    token = tl.program_id(0)
    dims = tl.arange(0, BLOCK)
    mask = dims < dim
    entry = tl.load(index_ptr + token)
    x = tl.load(table_ptr + entry * dim + dims, mask=mask, other=0.0).to(tl.float32)
    x += tl.load(positions_ptr + token % length * dim + dims, mask=mask, other=0.0).to(tl.float32)
    mean = tl.sum(x, axis=0) / dim
    centred = tl.where(mask, x - mean, 0.0)
    variance = tl.sum(centred * centred, axis=0) / dim
    weight = tl.load(weight_ptr + dims, mask=mask, other=0.0).to(tl.float32)
    bias = tl.load(bias_ptr + dims, mask=mask, other=0.0).to(tl.float32)
    out = centred * tl.rsqrt(variance + 1e-5) * weight + bias
    tl.store(out_ptr + token * dim + dims, out, mask=mask)


class ModelNew(torch.nn.Module):
    def __init__(self, entries, length, features):
        super().__init__()
        self.tokens = torch.nn.Embedding(entries, features)
        self.positions = torch.nn.Parameter(torch.randn(length, features))
        self.norm = torch.nn.LayerNorm(features)

    def forward(self, tokens):
        tokens = tokens.contiguous()
        batch, length = tokens.shape
        dim = self.positions.shape[1]
        table = self.tokens.weight
        out = torch.empty((batch, length, dim), dtype=table.dtype, device=table.device)
        embedding_layer_norm_kernel[(batch * length,)](
            tokens, table, self.positions, self.norm.weight, self.norm.bias, out,
            length, dim, BLOCK=triton.next_power_of_2(dim),
        )
        return out

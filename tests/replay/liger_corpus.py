"""Liger-Kernel's forward operators beside plain references, in KernelBench form: real kernels that we did not write.

The package is a test-only dependency; `corpus.liger` writes the candidates, which bring its text with them. Each entry:
a module of the package and an autograd function of it, the inputs, the reference's expression and the operator's call.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Operator:
    """Inputs and both sides as Python expressions over `i[0]`, `i[1]`, …"""

    module: str
    name: str
    inputs: str
    reference: str
    call: str

    @property
    def source(self) -> str:
        """The reference, in KernelBench form."""
        body = self.reference if "return" in self.reference else f"return {self.reference}"
        return (
            "import torch\nimport torch.nn as nn\nimport torch.nn.functional as F\n"
            f"class Model(nn.Module):\n    def forward(self, *i):\n        {body}\n"
            f"def get_inputs():\n    return [{self.inputs}]\ndef get_init_inputs():\n    return []\n"
        )


ROWS = "torch.randn(96, 320)"
LABELS = "torch.randint(0, 320, (96,))"
LOGP = "torch.log_softmax(torch.randn(96, 320), -1)"
PROBS = "torch.softmax(torch.randn(96, 320), -1)"
HEADS = "torch.randn(2, 4, 16, 32)"
ANGLES = "torch.randn(1, 16, 32)"
ROTATE = (
    "r = lambda t: torch.cat((-t[..., 16:], t[..., :16]), -1); c, s = i[2].unsqueeze(1), i[3].unsqueeze(1); "
    "return i[0] * c + r(i[0]) * s, i[1] * c + r(i[1]) * s"
)
RMS = "x.float() * torch.rsqrt((x.float() ** 2).mean(-1, keepdim=True) + 1e-6)"
JSD = (
    "m = 0.5 * i[0].exp() + 0.5 * i[1].exp(); "
    "return (0.5 * F.kl_div(m.log(), i[0], log_target=True, reduction='sum') "
    "+ 0.5 * F.kl_div(m.log(), i[1], log_target=True, reduction='sum')) / 96"
)

OPERATORS: Mapping[str, Operator] = {
    "softmax": Operator("softmax", "LigerSoftmaxFunction", ROWS, "torch.softmax(i[0], -1)", "op.apply(i[0])"),
    "relu_squared": Operator(
        "relu_squared", "LigerReLUSquaredFunction", ROWS, "torch.relu(i[0]) ** 2", "op.apply(i[0])"
    ),
    "swiglu": Operator("swiglu", "LigerSiLUMulFunction", f"{ROWS}, {ROWS}", "F.silu(i[0]) * i[1]", "op.apply(*i)"),
    "swiglu_fused": Operator(
        "swiglu", "LigerFusedGateUpSiLUMulFunction", ROWS,
        "a, b = i[0].chunk(2, -1); return F.silu(a) * b", "op.apply(i[0])",
    ),
    "geglu": Operator(
        "geglu", "LigerGELUMulFunction", f"{ROWS}, {ROWS}", "F.gelu(i[0], approximate='tanh') * i[1]", "op.apply(*i)"
    ),
    "rms_norm": Operator(
        "rms_norm", "LigerRMSNormFunction", f"{ROWS}, torch.randn(320)",
        f"x = i[0]; return {RMS} * i[1]", "op.apply(i[0], i[1], 1e-6)",
    ),
    "rms_norm_gemma": Operator(
        "rms_norm", "LigerRMSNormFunction", f"{ROWS}, torch.randn(320)",
        f"x = i[0]; return {RMS} * (1 + i[1])", "op.apply(i[0], i[1], 1e-6, 1.0, 'gemma')",
    ),
    "layer_norm": Operator(
        "layer_norm", "LigerLayerNormFunction", f"{ROWS}, torch.randn(320), torch.randn(320)",
        "F.layer_norm(i[0], (320,), i[1], i[2], 1e-5)", "op.apply(i[0], i[1], i[2], 1e-5)",
    ),
    "group_norm": Operator(
        "group_norm", "LigerGroupNormFunction", "torch.randn(4, 32, 10, 6), torch.randn(32), torch.randn(32)",
        "F.group_norm(i[0], 8, i[1], i[2], 1e-5)",
        "op.apply(i[0].view(4, 32, 60), i[1], i[2], 32, 8, 1e-5).view(4, 32, 10, 6)",
    ),
    "fused_add_rms_norm": Operator(
        "fused_add_rms_norm", "LigerFusedAddRMSNormFunction", f"{ROWS}, {ROWS}, torch.randn(320)",
        f"x = i[0] + i[1]; return {RMS} * i[2], x", "op.apply(i[0], i[1], i[2], 1e-6)",
    ),
    "modulated_rms_norm": Operator(
        "modulated_rms_norm", "LigerModulatedRMSNormFunction",
        "torch.randn(3, 16, 320), torch.randn(320), torch.randn(3, 320), torch.randn(3, 320)",
        f"x = i[0]; return {RMS} * i[1] * (1 + i[2].unsqueeze(1)) + i[3].unsqueeze(1)",
        "op.apply(i[0], i[1], i[2], i[3], 1e-6)",
    ),
    "poly_norm": Operator(
        "poly_norm", "LigerPolyNormFunction", f"{ROWS}, torch.randn(3), torch.randn(1)",
        "n = lambda x: x * torch.rsqrt((x ** 2).mean(-1, keepdim=True) + 1e-6); "
        "return i[1][0] * n(i[0] ** 3) + i[1][1] * n(i[0] ** 2) + i[1][2] * n(i[0]) + i[2]",
        "op.apply(i[0], i[1], i[2])",
    ),
    "dyt": Operator(
        "dyt", "LigerDyTFunction", f"{ROWS}, torch.randn(1), torch.randn(320), torch.randn(320)",
        "i[2] * torch.tanh(i[1] * i[0]) + i[3]", "op.apply(*i)",
    ),
    "rope": Operator(
        "rope", "LigerRopeFunction", f"{HEADS}, {HEADS}, {ANGLES}.repeat(1, 1, 1), {ANGLES}",
        "h = lambda t: torch.cat((t[..., :16], t[..., :16]), -1); "
        "r = lambda t: torch.cat((-t[..., 16:], t[..., :16]), -1); "
        "c, s = h(i[2]).unsqueeze(1), h(i[3]).unsqueeze(1); return i[0] * c + r(i[0]) * s, i[1] * c + r(i[1]) * s",
        "op.apply(i[0].clone(), i[1].clone(), i[2], i[3])",
    ),
    "cross_entropy": Operator(
        "cross_entropy", "LigerCrossEntropyFunction", f"{ROWS}, {LABELS}", "F.cross_entropy(i[0], i[1])",
        "op.apply(i[0], i[1], None)[0]",
    ),
    "cross_entropy_smoothed": Operator(
        "cross_entropy", "LigerCrossEntropyFunction", f"{ROWS}, {LABELS}",
        "F.cross_entropy(i[0], i[1], label_smoothing=0.1, reduction='sum')",
        "op.apply(i[0], i[1], None, -100, 0.0, 0.1, 'sum')[0]",
    ),
    "kl_div": Operator(
        "kl_div", "LigerKLDivLossFunction", f"{LOGP}, {PROBS}", "F.kl_div(i[0], i[1], reduction='batchmean')",
        "op.apply(i[0], i[1], 'batchmean', False)",
    ),
    "kl_div_log_target": Operator(
        "kl_div", "LigerKLDivLossFunction", f"{LOGP}, {LOGP}",
        "F.kl_div(i[0], i[1], reduction='none', log_target=True)",
        "op.apply(i[0], i[1], 'none', True)",
    ),
    "jsd": Operator("jsd", "LigerJSDFunction", f"{LOGP}, {LOGP}", JSD, "op.apply(i[0].clone(), i[1])"),
    "tvd": Operator(
        "tvd", "LigerTVDLossFunction", f"{PROBS}, {PROBS}", "0.5 * (i[0] - i[1]).abs().sum() / 96",
        "op.apply(i[0], i[1])",
    ),
    "fused_ce_tvd": Operator(
        "fused_ce_tvd", "LigerFusedCETVDFunction", f"{ROWS}, {ROWS}, {LABELS}",
        "return F.cross_entropy(i[0], i[2], reduction='none'), "
        "0.5 * (torch.softmax(i[0], -1) - torch.softmax(i[1], -1)).abs().sum(-1)",
        "op.apply(i[0], i[1], i[2])",
    ),
    "sparsemax": Operator(
        "sparsemax", "LigerSparsemaxFunction", ROWS,
        "z, _ = torch.sort(i[0], -1, descending=True); k = torch.arange(1, 321, device=z.device, dtype=z.dtype); "
        "c = z.cumsum(-1); n = (1 + k * z > c).sum(-1, keepdim=True); t = (c.gather(-1, n - 1) - 1) / n; "
        "return torch.relu(i[0] - t)",
        "op.apply(i[0], -1)",
    ),
    "fused_linear_cross_entropy": Operator(
        "fused_linear_cross_entropy", "LigerFusedLinearCrossEntropyFunction",
        f"torch.randn(96, 64), torch.randn(320, 64) * 0.1, {LABELS}",
        "F.cross_entropy(i[0] @ i[1].t(), i[2])", "op.apply(i[0], i[1], i[2])[0]",
    ),
    "fused_linear_jsd": Operator(
        "fused_linear_jsd", "LigerFusedLinearJSDFunction",
        "torch.randn(96, 64), torch.randn(320, 64) * 0.1, torch.randn(96, 64), torch.randn(320, 64) * 0.1",
        "a, b = torch.log_softmax(i[0] @ i[1].t(), -1), torch.log_softmax(i[2] @ i[3].t(), -1); " + JSD.replace(
            "i[0]", "a").replace("i[1]", "b"),
        "op.apply(i[0], i[1], i[2], i[3])",
    ),
    "fused_linear_kl_div": Operator(
        "fused_linear_kl_div", "LigerFusedLinearKLDivFunction",
        f"torch.randn(96, 64), torch.randn(320, 64) * 0.1, {PROBS}",
        "F.kl_div(torch.log_softmax(i[0] @ i[1].t(), -1), i[2], reduction='batchmean')", "op.apply(i[0], i[1], i[2])",
    ),
    "qwen2vl_mrope": Operator(
        "qwen2vl_mrope", "LigerQwen2VLMRopeFunction",
        f"{HEADS}, {HEADS}, torch.randn(3, 2, 16, 16), torch.randn(3, 2, 16, 16)",
        "d = lambda t: torch.cat((t, t), -1); m = lambda t: torch.cat([p[n % 3] for n, p in enumerate("
        "d(t).split([4, 6, 6] * 2, dim=-1))], -1).unsqueeze(1); "
        "r = lambda t: torch.cat((-t[..., 16:], t[..., :16]), -1); "
        "c, s = m(i[2]), m(i[3]); return i[0] * c + r(i[0]) * s, i[1] * c + r(i[1]) * s",
        "op.apply(i[0].clone(), i[1].clone(), torch.cat((i[2], i[2]), -1), torch.cat((i[3], i[3]), -1), [4, 6, 6])",
    ),
    "llama4_rope": Operator(
        "llama4_rope", "LigerLlama4RopeFunction",
        "torch.randn(2, 16, 4, 32), torch.randn(2, 16, 4, 32), torch.randn(16, 16, 2)",
        "f = torch.view_as_complex(i[2])[None, :, None, :]; "
        "g = lambda t: torch.view_as_real(torch.view_as_complex(t.reshape(2, 16, 4, 16, 2)) * f).flatten(3); "
        "return g(i[0]), g(i[1])",
        "op.apply(i[0].clone(), i[1].clone(), i[2])",
    ),
    "attn_res": Operator(
        "attn_res", "LigerAttnResFunction", "torch.randn(4, 2, 16, 64), torch.randn(64), torch.randn(64)",
        "k = i[0] * torch.rsqrt((i[0] ** 2).mean(-1, keepdim=True) + 1e-6) * i[2]; "
        "a = torch.softmax((k * i[1]).sum(-1), 0); return (a.unsqueeze(-1) * i[0]).sum(0)",
        "op.apply(i[0], i[1], i[2], 1e-6)",
    ),
    "mhc_pre": Operator(
        "mhc", "LigerMHCPreFunction", "torch.randn(48, 4, 64).bfloat16(), torch.rand(48, 4)",
        "(i[0].float() * i[1].unsqueeze(-1)).sum(1).to(i[0].dtype)", "op.apply(i[0], i[1])",
    ),
}  # fmt: skip

"""Named fusions: the published ones, and those that matter in practice. Each draws its variants from a generator.

A pattern gives a graph; what becomes of it is the same as for a composed one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random

from tritonrl_plugin_fusion.frames import SIZES
from tritonrl_plugin_fusion.graph import Graph, Step
from tritonrl_plugin_fusion.operators import OPERATORS

Pattern = Callable[[Random], Graph]

ACTIVATIONS = ("relu", "gelu", "silu", "sigmoid", "tanh", "leaky_relu", "hardswish", "gelu_tanh", "softplus", "relu6",
               "squared_relu", "softsign")  # fmt: skip
NORMS = ("layer_norm", "rms_norm")


class _Chain:
    """A graph written down one operator after the other. `then` gives the number of the value it makes."""

    def __init__(self, rng: Random, frame: str, head: str = "plain", values: int = 1) -> None:
        self.rng, self.frame, self.head = rng, frame, head
        self.steps: list[Step] = []
        self.last = values - 1

    def then(self, name: str, *operands: int, parameter: bool = False) -> int:
        """Apply an operator to the last value, or to those given."""
        operator = OPERATORS[name]
        constants = tuple(self.rng.choice(choices) for choices in operator.constants)
        self.steps.append(Step(name, operands or (self.last,), (parameter,) if operator.side else (), constants))
        self.last += 1
        return self.last

    def graph(self, *outputs: int) -> Graph:
        return Graph(self.frame, self.head, tuple(self.steps), outputs or (self.last,), self.rng.randrange(SIZES))


def conv_bn_relu(rng: Random) -> Graph:
    """Convolution, batch normalisation, ReLU: the published pattern."""
    chain = _Chain(rng, "convolution", rng.choice(("conv", "conv_no_bias")))
    chain.then("batch_norm")
    chain.then("relu")
    return chain.graph()


def conv_bn_act(rng: Random) -> Graph:
    """The same with another activation, and a residual before it now and then."""
    chain = _Chain(rng, "convolution", rng.choice(("conv", "conv_no_bias")))
    chain.then("batch_norm")
    if rng.random() < 0.5:
        chain.then("add_tile")
    chain.then(rng.choice(ACTIVATIONS))
    if rng.random() < 0.3:
        chain.then("add_tile")
    return chain.graph()


def gemm_bias_act(rng: Random) -> Graph:
    """Matrix product, bias, activation: the published pattern."""
    head = rng.choice(("linear", "matmul", "matmul_t", "linear_no_bias"))
    chain = _Chain(rng, "product", head)
    if head != "linear":
        chain.then("add_vector", parameter=rng.random() < 0.5)
    chain.then(rng.choice(ACTIVATIONS))
    if rng.random() < 0.3:
        chain.then("scale")
    return chain.graph()


def layernorm_gelu(rng: Random) -> Graph:
    """Layer normalisation, GELU: the published pattern, plain or behind a linear layer or a residual."""
    chain = _Chain(rng, *rng.choice((("rows", "plain"), ("product", "linear"), ("product", "linear_no_bias"))))
    if rng.random() < 0.5:
        chain.then("add_tile")
    chain.then("layer_norm")
    chain.then(rng.choice(("gelu", "gelu", "gelu_tanh")))
    return chain.graph()


def residual_norm(rng: Random) -> Graph:
    """Residual addition and normalisation; the new residual stream is returned too now and then."""
    chain = _Chain(rng, *rng.choice((("rows", "plain"), ("product", "linear"))))
    if rng.random() < 0.4:
        chain.then("add_vector", parameter=rng.random() < 0.5)
    if rng.random() < 0.3:
        chain.then("scale")
    total = chain.then("add_tile")
    chain.then(rng.choice(NORMS))
    if rng.random() < 0.4:
        chain.then(rng.choice(ACTIVATIONS))
    return chain.graph(chain.last, total) if rng.random() < 0.5 else chain.graph()


def rmsnorm_scale(rng: Random) -> Graph:
    """RMS normalisation with a scale: of each column, of each row, of all, or a gate."""
    chain = _Chain(rng, "rows")
    if rng.random() < 0.3:
        chain.then("mul_column")
    chain.then("rms_norm")
    for name in rng.sample(("mul_vector", "mul_column", "scale", "sigmoid_gate", "mul_tile"), rng.randint(1, 2)):
        chain.then(name)
    return chain.graph()


def gated_mlp(rng: Random) -> Graph:
    """SwiGLU, GeGLU and their kin: an activated gate times another tensor, with or without the products before."""
    activation = rng.choice(("silu", "gelu", "gelu_tanh", "relu", "sigmoid", "squared_relu"))
    if rng.random() < 0.5:
        chain = _Chain(rng, "product", "gated", values=2)
        gate = chain.then(activation, 0)
        chain.then("mul", gate, 1)
    else:
        chain = _Chain(rng, "rows")
        chain.then(activation)
        chain.then("mul_tile")
    if rng.random() < 0.5:
        chain.then(rng.choice(("scale", "add_tile", "mul_vector", "rms_norm")))
    return chain.graph()


def masked_softmax(rng: Random) -> Graph:
    """Softmax of scaled, masked or biased logits."""
    chain = _Chain(rng, "rows")
    chain.then(rng.choice(("scale", "softcap", "mul_column")))
    wanted = rng.sample(("add_tile", "add_vector", "mask_out"), rng.randint(1, 2))
    for name in sorted(wanted):  # the mask goes last
        chain.then(name)
    chain.then("softmax")
    if rng.random() < 0.3:
        chain.then("mul_tile")
    return chain.graph()


def gemm_bias_residual(rng: Random) -> Graph:
    """Matrix product, bias, residual; an activation, a scale or a normalisation about it."""
    chain = _Chain(rng, "product", "linear" if rng.random() < 0.6 else rng.choice(("matmul", "matmul_t")))
    if chain.head != "linear":
        chain.then("add_vector", parameter=rng.random() < 0.5)
    before, after = rng.random() < 0.4, rng.random() < 0.4
    if before:
        chain.then(rng.choice(ACTIVATIONS))
    chain.then(rng.choice(("add_tile", "add_tile", "lerp_tile")))
    if after:
        chain.then(rng.choice((*ACTIVATIONS, *NORMS)))
    return chain.graph()


def conv_bias_pool(rng: Random) -> Graph:
    """Convolution with a bias, an activation, and pooling over windows of 2 by 2."""
    chain = _Chain(rng, "convolution", rng.choice(("conv", "conv_no_bias")))
    if chain.head == "conv_no_bias":
        chain.then("add_vector", parameter=True)
    if rng.random() < 0.3:
        chain.then("add_tile")
    chain.then(rng.choice(ACTIVATIONS))
    chain.then(rng.choice(("max_pool", "avg_pool")))
    return chain.graph()


def reduction_chain(rng: Random) -> Graph:
    """Reductions whose results go back into the row, and a reduction at the end."""
    chain = _Chain(rng, rng.choice(("rows", "rows", "planes")))
    if rng.random() < 0.5:
        chain.then(rng.choice(("add_vector", "mul_tile", "add_tile")))
    source = chain.last
    chain.then(rng.choice(("mean", "amax")))
    centred = chain.then("sub_stat", source, chain.last)
    chain.then(rng.choice(("norm", "variance", "mean_abs", "mean_square")))
    chain.then("div_stat", centred, chain.last)
    if rng.random() < 0.6:
        chain.then(rng.choice(ACTIVATIONS))
        chain.then(rng.choice(("sum", "mean", "amax", "norm")))
    return chain.graph()


def cross_entropy(rng: Random) -> Graph:
    """Pieces of a cross-entropy: log-probabilities of labels, log-sum-exp penalties, behind logits of some kind."""
    chain = _Chain(rng, *rng.choice((("rows", "plain"), ("rows", "plain"), ("product", "linear"))))
    for name in rng.sample(("scale", "softcap", "add_vector", "add_tile"), rng.randint(0, 2)):
        chain.then(name)
    logits = chain.last
    if rng.random() < 0.3:
        chain.then("logsumexp")
        chain.then("square")
    else:
        chain.then("log_softmax")
        chain.then("pick")
        if rng.random() < 0.5:
            chain.then(rng.choice(("negate", "exp_log")))
    return chain.graph(chain.last, logits) if logits and rng.random() < 0.15 else chain.graph()


def quantised_gemm(rng: Random) -> Graph:
    """A product with int8 weights, dequantised by a scale for each output; the input rounded to int8 now and then."""
    chain = _Chain(rng, "product", rng.choice(("int8", "int8_both")))
    chain.then("mul_vector", parameter=rng.random() < 0.5)
    if rng.random() < 0.5:
        chain.then("mul_column")
    if rng.random() < 0.5:
        chain.then("add_vector", parameter=rng.random() < 0.5)
    chain.then(rng.choice((*ACTIVATIONS, "add_tile")))
    return chain.graph()


def gather_elementwise(rng: Random) -> Graph:
    """Rows of a table by index, then elementwise work, a residual, a normalisation."""
    chain = _Chain(rng, "lookup", rng.choice(("table", "embedding")))
    for name in rng.sample(("mul_column", "add_tile", "mul_vector", "add_vector", "scale"), rng.randint(1, 2)):
        chain.then(name)
    chain.then(rng.choice((*ACTIVATIONS, *NORMS, "mul_tile")))
    return chain.graph()


PATTERNS: Mapping[str, Pattern] = {
    pattern.__name__: pattern
    for pattern in (
        conv_bn_relu, gemm_bias_act, layernorm_gelu, conv_bn_act, residual_norm, rmsnorm_scale, gated_mlp,
        masked_softmax, gemm_bias_residual, conv_bias_pool, reduction_chain, cross_entropy, quantised_gemm,
        gather_elementwise,
    )
}  # fmt: skip
"""Patterns made of graphs. `qk_norm_rotary` has a shape of its own (`rotary`)."""

PUBLISHED = ("conv_bn_relu", "gemm_bias_act", "layernorm_gelu")

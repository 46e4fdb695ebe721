"""The table of operators: what each takes and gives, its PyTorch expression and its Triton code.

Kinds of values: a `tile` is what a kernel holds in registers (a row, a block of a product); a `stat` is one number for
each row of it. A tag says what is known of a value's range, so that operators meet values that they are defined for and
that tell something: `any` and `unit` (bounded) have both signs, `positive` and `share` (0 to 1) have not, `prob` is
what a softmax leaves, `log` its logarithm, `masked` has places of minus infinity.

Templates are filled by `reference` and `kernel`: `{x}` and `{y}` are operands, `{s}` the tensor beside them, `{a}` and
`{b}` constants, `{m}` the module's member, `{dims}` the dimensions that are reduced; in Triton `{out}` is the variable
to assign, `{mask}` what is inside, `{axis}` and `{up}` the reduced axis and the way back to a tile, `{n}` the number of
elements reduced over.
"""

from __future__ import annotations

from dataclasses import dataclass

TILE, STAT, SAME = "tile", "stat", "same"
SIGNED = ("any", "unit")
FLAT = ("positive", "share")
USUAL = (*SIGNED, *FLAT)
CONSTANTS = (0.25, 0.5, 1.5, 2.0)


@dataclass(frozen=True)
class Operator:
    """One row of the table. `takes` and `gives` are kinds (`same`: tile or stat alike); `needs` are the tags that its
    first operand may have and `tag` is that of the result.

    `side` is the kind of the tensor it takes beside its operands ("" for none) and `name` what that is called; with
    `module` it is a layer, whose tensors `loads` are read. `constants` are choices for each number in it. `kind` groups
    operators of which two in a row say nothing new. `weight` is how often the composer draws it.
    """

    title: str
    phrase: str
    torch: str
    triton: str
    takes: tuple[str, ...] = (SAME,)
    gives: str = SAME
    needs: tuple[str, ...] = SIGNED
    tag: str = "any"
    side: str = ""
    name: str = ""
    module: str = ""
    loads: tuple[str, ...] = ()
    constants: tuple[tuple[float, ...], ...] = ()
    kind: str = "activation"
    weight: float = 1.0


_GELU = "0.5 * {x} * (1.0 + tl.erf({x} * 0.7071067811865476))"
_SUM = "tl.sum(tl.where({mask}, {x}, 0.0), axis={axis}){up}"
_TANH = """\
{out}_e = tl.exp(-2.0 * tl.abs({x}))
{out}_t = (1.0 - {out}_e) / (1.0 + {out}_e)
{out}_s = {x} * {x}
{out}_near = {x} * (1.0 + {out}_s * (-1 / 3 + {out}_s * (2 / 15 + {out}_s * (-17 / 315 + {out}_s * (62 / 2835)))))
{out} = tl.where(tl.abs({x}) < 0.2, {out}_near, tl.where({x} < 0, -{out}_t, {out}_t))"""
_SOFTMAX = """\
{out}_e = tl.exp({x} - tl.max(tl.where({mask}, {x}, float("-inf")), axis={axis}){up})
{out} = {out}_e / tl.sum(tl.where({mask}, {out}_e, 0.0), axis={axis}){up}"""
_LOG_SOFTMAX = """\
{out}_d = {x} - tl.max(tl.where({mask}, {x}, float("-inf")), axis={axis}){up}
{out} = {out}_d - tl.log(tl.sum(tl.where({mask}, tl.exp({out}_d), 0.0), axis={axis}){up})"""
_LOGSUMEXP = """\
{out}_top = tl.max(tl.where({mask}, {x}, float("-inf")), axis={axis}){up}
{out} = {out}_top + tl.log(tl.sum(tl.where({mask}, tl.exp({x} - {out}_top), 0.0), axis={axis}){up})"""
_VARIANCE = """\
{out}_mean = tl.sum(tl.where({mask}, {x}, 0.0), axis={axis}){up} / {n}
{out}_d = tl.where({mask}, {x} - {out}_mean, 0.0)
{out} = tl.sum({out}_d * {out}_d, axis={axis}){up} / {n}"""
_LAYER_NORM = """\
{out}_mean = tl.sum(tl.where({mask}, {x}, 0.0), axis={axis}){up} / {n}
{out}_d = tl.where({mask}, {x} - {out}_mean, 0.0)
{out}_var = tl.sum({out}_d * {out}_d, axis={axis}){up} / {n}
{out} = {out}_d * tl.rsqrt({out}_var + 1e-5) * {weight} + {bias}"""
_RMS_NORM = """\
{out}_square = tl.sum(tl.where({mask}, {x} * {x}, 0.0), axis={axis}){up} / {n}
{out} = {x} * tl.rsqrt({out}_square + 1e-5) * {weight}"""
_BATCH_NORM = "({x} - {running_mean}) * tl.rsqrt({running_var} + 1e-5) * {weight} + {bias}"


def _act(title: str, torch: str, triton: str, tag: str = "any", **more: object) -> Operator:
    return Operator(title, title, torch, triton, tag=tag, **more)  # type: ignore[arg-type]


def _stat(title: str, torch: str, triton: str, tag: str = "any", **more: object) -> Operator:
    more = {"takes": (TILE,), "gives": STAT, "kind": "reduction", "needs": USUAL, **more}
    return Operator(title, title, torch, triton, tag=tag, **more)  # type: ignore[arg-type]


def _side(title: str, name: str, side: str, torch: str, triton: str, tag: str = "any", **more: object) -> Operator:
    more = {"needs": USUAL, "kind": name, **more}
    return Operator(title, title, torch, triton, takes=(TILE,), gives=TILE, side=side, name=name, tag=tag, **more)  # type: ignore[arg-type]


OPERATORS: dict[str, Operator] = {
    # activations
    "relu": _act("ReLU", "torch.relu({x})", "tl.maximum({x}, 0.0)", "positive", weight=2),
    "leaky_relu": _act("leaky ReLU with slope {a}", "F.leaky_relu({x}, negative_slope={a})",
                       "tl.where({x} > 0, {x}, {a} * {x})", constants=((0.01, 0.1, 0.2),)),
    "gelu": _act("GELU", "F.gelu({x})", _GELU, weight=2),
    "gelu_tanh": _act("GELU in its tanh form", 'F.gelu({x}, approximate="tanh")',
                      "{x} * tl.sigmoid(1.5957691216057308 * ({x} + 0.044715 * {x} * {x} * {x}))"),
    "silu": _act("SiLU", "F.silu({x})", "{x} * tl.sigmoid({x})", weight=2),
    "sigmoid": _act("sigmoid", "torch.sigmoid({x})", "tl.sigmoid({x})", "share"),
    "tanh": _act("tanh", "torch.tanh({x})", _TANH, "unit"),
    "softplus": _act("softplus", "F.softplus({x})",
                     "tl.maximum({x}, 0.0) + tl.log(1.0 + tl.exp(-tl.abs({x})))", "positive"),
    "hardswish": _act("hard swish", "F.hardswish({x})", "{x} * tl.minimum(tl.maximum({x} + 3.0, 0.0), 6.0) / 6.0"),
    "softsign": _act("softsign", "F.softsign({x})", "{x} / (1.0 + tl.abs({x}))", "unit"),
    "relu6": _act("ReLU6", "F.relu6({x})", "tl.minimum(tl.maximum({x}, 0.0), 6.0)", "positive"),
    "hardsigmoid": _act("hard sigmoid", "F.hardsigmoid({x})",
                        "tl.minimum(tl.maximum({x} / 6.0 + 0.5, 0.0), 1.0)", "share"),
    "squared_relu": _act("squared ReLU", "torch.relu({x}).square()",
                         "tl.maximum({x}, 0.0) * tl.maximum({x}, 0.0)", "positive"),
    # arithmetic
    "abs": _act("absolute value", "{x}.abs()", "tl.abs({x})", "positive", kind="sign", weight=0.5),
    "square": _act("square", "{x}.square()", "{x} * {x}", "positive", kind="power", weight=0.5),
    "sqrt": _act("square root", "torch.sqrt({x} + 1e-3)", "tl.sqrt({x} + 1e-3)", "positive", needs=FLAT, kind="power"),
    "log1p": _act("log(1 + x)", "torch.log1p({x})", "tl.log(1.0 + {x})", "positive", needs=FLAT, kind="power"),
    "saturate": _act("x / (1 + x)", "{x} / (1 + {x})", "{x} / (1.0 + {x})", "share", needs=("positive",)),
    "complement": _act("1 - x", "1 - {x}", "1.0 - {x}", "share", needs=("share",), kind="sign", weight=0.5),
    "exp": _act("exponential", "torch.exp({x})", "tl.exp({x})", "positive", needs=("unit",), kind="power"),
    "clamp": _act("clamp to [-{a}, {a}]", "torch.clamp({x}, -{a}, {a})", "tl.minimum(tl.maximum({x}, -{a}), {a})",
                  "unit", constants=((1.0, 1.5, 2.0),), kind="clamp"),
    "scale": _act("scale by {a}", "{x} * {a}", "{x} * {a}", SAME, needs=(*USUAL, "prob"), constants=(CONSTANTS,),
                  kind="scale"),
    "shift": _act("add {a}", "{x} + {a}", "{x} + {a}", "any", needs=USUAL, constants=(CONSTANTS,), kind="shift",
                  weight=0.5),
    "softcap": _act("soft cap at {a}", "{a} * torch.tanh({x} / {a})",
                    _TANH.replace("{x}", "({x} / {a})") + "\n{out} = {a} * {out}", "unit", constants=((5.0, 10.0),),
                    kind="clamp"),
    "fake_quantise": _act("round to steps of 1/{a}, at most 127 of them each way",
                          "torch.clamp(torch.round({x} * {a}), -127, 127) / {a}",
                          # Adding and taking away 1.5 · 2²³ rounds half to even.
                          "(tl.minimum(tl.maximum({x} * {a}, -127.0), 127.0) + 12582912.0 - 12582912.0) / {a}",
                          needs=("input",), constants=((8.0, 16.0, 32.0),), kind="round", weight=0.5),
    # with another tensor
    "add_tile": _side("add {s}", "residual", TILE, "{x} + {s}", "{x} + {s}", weight=2),
    "mul_tile": _side("multiply by {s}", "gate", TILE, "{x} * {s}", "{x} * {s}", needs=(*USUAL, "prob", "log"),
                      weight=2),
    "sub_tile": _side("subtract {s}", "other", TILE, "{x} - {s}", "{x} - {s}", needs=USUAL),
    "max_tile": _side("maximum with {s}", "floor", TILE, "torch.maximum({x}, {s})", "tl.maximum({x}, {s})",
                      needs=SIGNED),
    "min_tile": _side("minimum with {s}", "ceiling", TILE, "torch.minimum({x}, {s})", "tl.minimum({x}, {s})",
                      needs=SIGNED),
    "sigmoid_gate": _side("multiply by the sigmoid of {s}", "gate", TILE, "{x} * torch.sigmoid({s})",
                          "{x} * tl.sigmoid({s})", SAME, weight=1.5),
    "lerp_tile": _side("move {a} of the way to {s}", "target", TILE, "torch.lerp({x}, {s}, {a})",
                       "{x} + {a} * ({s} - {x})", constants=((0.25, 0.4),), needs=USUAL),
    "mask_zero": _side("zero where {s} is false", "allowed", "mask", "torch.where({s}, {x}, 0.0)",
                       "tl.where({s}, {x}, 0.0)", SAME),
    "mask_out": _side("minus infinity where {s} is false", "allowed", "mask",
                      '{x}.masked_fill(~{s}, float("-inf"))', 'tl.where({s}, {x}, float("-inf"))', "masked",
                      needs=SIGNED, weight=0.7),
    "add_vector": _side("add the vector {s}", "bias", "vector", "{x} + {s}", "{x} + {s}", weight=2),
    "mul_vector": _side("multiply by the vector {s}", "scale", "vector", "{x} * {s}", "{x} * {s}",
                        needs=(*USUAL, "prob"), weight=1.5),
    "prelu": _side("PReLU with the slopes {s}", "slope", "vector", "torch.where({x} > 0, {x}, {x} * {s})",
                   "tl.where({x} > 0, {x}, {x} * {s})", needs=SIGNED, kind="activation"),
    "mul_column": _side("multiply each row by {s}", "factor", "stat", "{x} * {s}", "{x} * {s}",
                        needs=(*USUAL, "prob")),
    # two values of the graph
    "add": Operator("add", "add what came before", "{x} + {y}", "{x} + {y}", (TILE, TILE), TILE, USUAL, kind="join"),
    "sub": Operator("subtract", "subtract what came before", "{x} - {y}", "{x} - {y}", (TILE, TILE), TILE, USUAL,
                    kind="join"),
    "mul": Operator("multiply", "multiply by what came before", "{x} * {y}", "{x} * {y}", (TILE, TILE), TILE,
                    (*USUAL, "prob"), kind="join"),
    "maximum": Operator("maximum", "maximum with what came before", "torch.maximum({x}, {y})", "tl.maximum({x}, {y})",
                        (TILE, TILE), TILE, SIGNED, kind="join", weight=0.5),
    # a tile and a number for each of its rows
    "sub_stat": Operator("subtract it", "subtract it from each element", "{x} - {y}", "{x} - {y}", (TILE, STAT), TILE,
                         USUAL, kind="centre"),
    "add_stat": Operator("add it", "add it to each element", "{x} + {y}", "{x} + {y}", (TILE, STAT), TILE, USUAL,
                         kind="centre", weight=0.5),
    "mul_stat": Operator("multiply by it", "multiply each element by it", "{x} * {y}", "{x} * {y}", (TILE, STAT), TILE,
                         USUAL, kind="rescale"),
    "div_stat": Operator("divide by it", "divide each element by it (and 1e-3 more)", "{x} / ({y} + 1e-3)",
                         "{x} / ({y} + 1e-3)", (TILE, STAT), TILE, USUAL, kind="rescale", weight=2),
    # reductions
    "mean": _stat("mean of each row", "{x}.mean(dim={dims}, keepdim=True)", _SUM + " / {n}", SAME),
    "sum": _stat("sum of each row", "{x}.sum(dim={dims}, keepdim=True)", _SUM, SAME),
    "amax": _stat("maximum of each row", "{x}.amax(dim={dims}, keepdim=True)",
                  'tl.max(tl.where({mask}, {x}, float("-inf")), axis={axis}){up}', SAME, needs=(*USUAL, "prob")),
    "amin": _stat("minimum of each row", "{x}.amin(dim={dims}, keepdim=True)",
                  'tl.min(tl.where({mask}, {x}, float("inf")), axis={axis}){up}', SAME, needs=SIGNED),
    "norm": _stat("Euclidean norm of each row", "{x}.norm(dim={dims}, keepdim=True)",
                  "tl.sqrt(tl.sum(tl.where({mask}, {x} * {x}, 0.0), axis={axis}){up})", "positive",
                  needs=(*USUAL, "prob")),
    "mean_square": _stat("mean square of each row", "{x}.square().mean(dim={dims}, keepdim=True)",
                         "tl.sum(tl.where({mask}, {x} * {x}, 0.0), axis={axis}){up} / {n}", "positive"),
    "mean_abs": _stat("mean absolute value of each row", "{x}.abs().mean(dim={dims}, keepdim=True)",
                      "tl.sum(tl.where({mask}, tl.abs({x}), 0.0), axis={axis}){up} / {n}", "positive", needs=SIGNED),
    "variance": _stat("variance of each row", "{x}.var(dim={dims}, unbiased=False, keepdim=True)", _VARIANCE,
                      "positive"),
    "logsumexp": _stat("log-sum-exp of each row", "torch.logsumexp({x}, dim={dims}, keepdim=True)", _LOGSUMEXP,
                       needs=(*SIGNED, "masked")),
    "pick": Operator("the element at each row's index {s}", "the element at each row's index {s}",
                     "{x}.gather(-1, {s}[:, None])", "tl.sum(tl.where({cols} == {s}, {x}, 0.0), axis={axis}){up}",
                     (TILE,), STAT, ("log",), "log", side="labels", name="labels", kind="reduction"),
    "negate": _act("change the sign", "-{x}", "-{x}", needs=("log",), kind="scale", weight=0.3),
    "exp_log": _act("exponential", "torch.exp({x})", "tl.exp({x})", "prob", needs=("log",), kind="power", weight=0.3),
    # whole rows
    "softmax": Operator("softmax of each row", "softmax of each row", "torch.softmax({x}, dim={dims})", _SOFTMAX,
                        (TILE,), TILE, (*SIGNED, "masked"), "prob", kind="softmax", weight=1.5),
    "log_softmax": Operator("log-softmax of each row", "log-softmax of each row", "torch.log_softmax({x}, dim={dims})",
                            _LOG_SOFTMAX, (TILE,), TILE, SIGNED, "log", kind="softmax", weight=0.7),
    "cumsum": Operator("cumulative sum along each row", "cumulative sum along each row",
                       "torch.cumsum({x}, dim={dims})",
                       "tl.cumsum(tl.where({mask}, {x}, 0.0), axis={axis})", (TILE,), TILE, USUAL, SAME,
                       kind="scan", weight=0.5),
    "layer_norm": Operator("layer normalisation", "layer normalisation", "{m}({x})", _LAYER_NORM, (TILE,), TILE, USUAL,
                           name="norm", module="nn.LayerNorm({width})", loads=("weight", "bias"), kind="norm",
                           weight=1.5),
    "rms_norm": Operator("RMS normalisation", "RMS normalisation", "{m}({x})", _RMS_NORM, (TILE,), TILE, USUAL,
                         name="norm", module="nn.RMSNorm({width}, eps=1e-5)", loads=("weight",), kind="norm",
                         weight=1.5),
    "batch_norm": Operator("batch normalisation", "batch normalisation", "{m}({x})", _BATCH_NORM, (TILE,), TILE, USUAL,
                           name="norm", module="{batch_norm}({width})",
                           loads=("running_mean", "running_var", "weight", "bias"), kind="norm", weight=2),
    # windows of an image, last only
    "max_pool": Operator("maximum over windows of 2 by 2", "maximum over windows of 2 by 2", "F.max_pool2d({x}, 2)",
                         "", (TILE,), TILE, (*USUAL,), SAME, kind="pool", weight=2),
    "avg_pool": Operator("mean over windows of 2 by 2", "mean over windows of 2 by 2", "F.avg_pool2d({x}, 2)",
                         "", (TILE,), TILE, (*USUAL,), SAME, kind="pool", weight=2),
}

POOLS = ("max_pool", "avg_pool")

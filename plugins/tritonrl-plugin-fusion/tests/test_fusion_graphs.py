"""Patterns, the composer and the texts made of them: pure data, nothing is run."""

import ast
import subprocess
import sys
from random import Random

import pytest
from tritonrl_plugin_fusion.blueprint import Blueprint
from tritonrl_plugin_fusion.compose import compose
from tritonrl_plugin_fusion.frames import FRAMES
from tritonrl_plugin_fusion.graph import Graph, Step, key
from tritonrl_plugin_fusion.operators import OPERATORS, POOLS
from tritonrl_plugin_fusion.patterns import PATTERNS, PUBLISHED
from tritonrl_plugin_fusion.reference import summary
from tritonrl_plugin_fusion.rotary import qk_norm_rotary
from tritonrl_plugin_fusion.stream import KNOWN, Wanted, draw

ALL = Wanted(0, KNOWN, ("float32", "float16"), (2, 6), 0.6, 1, {0.0: 1.0})
IN_PRACTICE = {
    "residual_norm", "rmsnorm_scale", "gated_mlp", "masked_softmax", "qk_norm_rotary", "gemm_bias_residual",
    "conv_bias_pool", "reduction_chain", "cross_entropy", "quantised_gemm", "gather_elementwise",
}  # fmt: skip


def designs(count=150):
    return [draw(ALL, 0, number) for number in range(count)]


def test_the_published_patterns_and_those_of_practice_are_there():
    assert {*PUBLISHED, *IN_PRACTICE, "composed"} <= set(KNOWN)


def test_the_published_patterns_are_what_they_say():
    conv, gemm, norm = (PATTERNS[name](Random(0)) for name in PUBLISHED)
    assert (conv.frame, conv.operators) == ("convolution", ("batch_norm", "relu"))
    assert gemm.frame == "product"
    assert norm.operators[-2] == "layer_norm"
    assert norm.operators[-1].startswith("gelu")


@pytest.mark.parametrize("size", ["small", "full"])
def test_every_text_parses_in_short_lines(size):
    for blueprint in designs():
        for text in (blueprint.task(size).source, blueprint.solution().code):
            ast.parse(text)
            assert max(map(len, text.splitlines())) <= 120, text


def test_a_task_is_the_same_at_both_sizes_but_for_its_numbers():
    for blueprint in designs(40):
        small, full = blueprint.task("small"), blueprint.task("full")
        assert small.id == full.id
        assert small.key != full.key
        assert set(small.vary) == set(full.vary)
        assert small.source.split("class Model")[1] == full.source.split("class Model")[1]


def test_a_draw_is_its_seed_and_number_in_every_process():
    code = (
        "from tritonrl_plugin_fusion.stream import *\n"
        "ALL = Wanted(0, KNOWN, ('float32', 'float16'), (2, 6), 0.6, 1, {0.0: 1.0})\n"
        "print([draw(ALL, 0, i).id for i in range(30)])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip() == str([blueprint.id for blueprint in designs(30)])
    assert [draw(ALL, 1, i).id for i in range(30)] != [draw(ALL, 0, i).id for i in range(30)]


def test_making_texts_takes_no_torch():
    code = (
        "import sys\nfrom tritonrl_plugin_fusion import FusionPlugin\n"
        "from tritonrl_plugin_fusion.stream import *\n"
        "b = draw(Wanted(0, KNOWN, ('float32',), (2, 6), 0.6, 1, {0.0: 1.0}), 0, 3)\n"
        "b.task('small'), b.solution()\nassert not {'torch', 'triton'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_key_leaves_out_constants_and_sizes_and_the_id_does_not():
    def scaled(by, sizes=0):
        step = Step("scale", (0,), (), (by,))
        return Graph("rows", "plain", (step, Step("relu", (1,))), (2,), sizes)

    assert key(scaled(0.5), 1) == key(scaled(2.0, sizes=3), 1)
    assert key(scaled(0.5), 1) != key(Graph("rows", "plain", (Step("relu", (0,)),), (1,)), 1)
    ids = {Blueprint("x", scaled(by, sizes), ("float32",)).id for by in (0.5, 2.0) for sizes in (0, 1)}
    assert len(ids) == 4


def test_the_order_of_commutative_operands_does_not_count():
    def joined(*operands):
        steps = (Step("relu", (0,)), Step("tanh", (0,)), Step("add", operands))
        return Graph("rows", "plain", steps, (3,))

    assert key(joined(1, 2), 1) == key(joined(2, 1), 1)


@pytest.mark.parametrize("seed", range(200))
def test_a_composed_graph_keeps_the_rules_of_its_table(seed):
    graph = compose(Random(seed), 2, 6)
    heads = len(FRAMES[graph.frame].heads[graph.head].torch)
    assert 2 <= len(graph.steps) <= 8
    assert not set(graph.operators) & FRAMES[graph.frame].avoid
    assert not set(graph.operators[:-1]) & set(POOLS)
    for number, step in enumerate(graph.steps):
        assert all(operand < heads + number for operand in step.operands)
        assert heads + number - 1 in step.operands, "every step takes up the one before it"
        assert len(step.operands) == len(OPERATORS[step.operator].takes)
    assert graph.outputs[0] == heads + len(graph.steps) - 1


def test_a_summary_says_every_step():
    steps = (Step("add_vector", (0,), (True,)), Step("gelu", (1,)), Step("scale", (2,), (), (1.5,)))
    graph = Graph("rows", "plain", steps, (3,))
    assert summary(graph) == "Add the vector bias, GELU, scale by 1.5."


def test_half_precision_references_say_so():
    blueprint = Blueprint("layernorm_gelu", PATTERNS["layernorm_gelu"](Random(3)), ("float16", "float32"))
    task = blueprint.task("small")
    assert "dtype=torch.float16" in task.source
    assert task.dtypes == ("float32",)
    assert qk_norm_rotary(Random(0)).summary.startswith("Quer")

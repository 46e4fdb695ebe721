"""The plugin keeps the contract that every plugin keeps, and counts what fits on a cluster."""

import pytest
from tritonrl_plugin_ray import RayPlugin
from tritonrl_plugin_ray.shape import Node, of_one_kind, shape_of

from tritonrl_core.errors import UsageError
from tritonrl_core.testing import PluginContract, hook_arguments

ANY = {"hosts": None, "preparers": None, "cpus": 8}


class TestRayPlugin(PluginContract):
    plugin = RayPlugin


def test_alone_it_says_that_it_needs_a_session() -> None:
    spec = hook_arguments("open_bench")["spec"]
    with pytest.raises(UsageError, match="within a session"):
        RayPlugin().open_bench(spec)
    assert RayPlugin().collect_metrics(0) is None


def test_the_doctor_knows_ray() -> None:
    [(what, found, remedy)] = RayPlugin.doctor()
    assert what == "ray"
    assert (found == "not installed") == bool(remedy)


def test_a_gpu_cluster_has_a_host_a_gpu_and_preparers_on_the_other_cpus() -> None:
    shape = shape_of([Node(32, 2), Node(64), Node(16, 1)], gpu=True, **ANY)
    assert (shape.hosts, shape.host_cpus, shape.preparers) == (3, 2, 3 + 8 + 1)
    assert shape.at_once == 2 * 12 * 8


def test_hosts_that_prepare_for_themselves_have_the_cpus_for_it() -> None:
    shape = shape_of([Node(32, 2), Node(4, 1)], gpu=True, hosts=None, preparers=0, cpus=8)
    assert (shape.hosts, shape.host_cpus, shape.preparers, shape.at_once) == (2, 8, 0, 32)


def test_a_cluster_without_gpus_has_hosts_that_do_everything() -> None:
    shape = shape_of([Node(20), Node(8), Node(4)], gpu=False, **ANY)
    assert (shape.hosts, shape.preparers) == (3, 0)
    assert shape_of([Node(20), Node(8)], gpu=False, hosts=1, preparers=None, cpus=8).hosts == 1


def test_gpus_of_two_kinds_do_not_judge_together() -> None:
    nodes = [Node(32, 2, "H100"), Node(32, 4, "H200"), Node(64)]
    with pytest.raises(UsageError, match=r"several kinds.*: H100, H200") as refusal:
        of_one_kind(nodes, None)
    assert "`gpu: H100`" in refusal.value.remedy
    assert of_one_kind(nodes[:1] + nodes[2:], None) == nodes[:1] + nodes[2:]
    assert shape_of(of_one_kind(nodes, "H200"), gpu=True, **ANY).hosts == 4


def test_ranks_share_a_cluster() -> None:
    assert shape_of([Node(64, 4)], gpu=True, ranks=2, **ANY).hosts == 2
    assert shape_of([Node(64, 4)], gpu=True, ranks=2, **ANY).preparers == 3


@pytest.mark.parametrize(
    ("nodes", "asked", "words"),
    [
        ([], ANY, "no node at all"),
        ([Node(4)], ANY, "room for 0 hosts of 8 CPUs, and 1 are wanted: 4 CPUs and 0 GPUs"),
        ([Node(16)], {**ANY, "hosts": 3}, "room for 2 hosts of 8 CPUs, and 3 are wanted"),
    ],
)
def test_a_cluster_that_is_too_small_says_what_it_has(nodes, asked, words) -> None:
    with pytest.raises(UsageError) as refusal:
        shape_of(nodes, gpu=False, **asked)
    assert words in refusal.value.message
    assert refusal.value.remedy

"""A Ray cluster of several nodes on this machine: verdicts as without it, none lost and none given twice when a node is
killed in the middle of a batch."""

from __future__ import annotations

import threading
from collections import Counter

import pytest

pytest.importorskip("ray")

from tritonrl_core import Verifier, load_preset
from tritonrl_core.errors import HookFailure
from tritonrl_core.tasks.golden import golden_solutions
from tritonrl_core.tasks.suite import builtin_tasks
from tritonrl_core.types import Candidate, Status

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

WANTED = ("l1_relu", "l1_clamp", "l1_add_bias", "l1_argmax_rows", "l1_softmax", "l1_bmm")


@pytest.fixture
def cluster():
    """A head without CPUs; nodes are added by the test. All are processes of this machine."""
    import ray
    from ray.cluster_utils import Cluster

    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "object_store_memory": 80 << 20})
    yield made
    ray.shutdown()
    made.shutdown()


def jobs() -> list:
    """Right and wrong candidates of a few tasks, all of different content."""
    tasks = {task.id: task for task in builtin_tasks("train")}
    right = [(tasks[one.task_id], one.code) for one in golden_solutions() if one.task_id in WANTED]
    found = []
    for task, code in right:
        found += [(task, Candidate.from_code(code)), (task, Candidate.from_code(code + "\n# another text\n"))]
        found.append((task, Candidate.from_code(code.replace("tl.store(", "tl.store(0 * ", 1))))
    return found


def preset(cluster, **options):
    chosen = load_preset("baseline", ["verifier.device=cpu", "verifier.timeout_s=60"])
    return chosen.with_plugins(ray={"address": cluster.address, "cpus": 1, "patience_s": 120, **options})


def test_a_node_that_is_lost_costs_no_verdict_and_none_is_given_twice(cluster) -> None:
    """Two hosts on two nodes and a preparer on a third; one of the hosts' nodes is killed after the third verdict."""
    nodes = [cluster.add_node(num_cpus=1, object_store_memory=80 << 20) for _ in range(3)]
    batch, told, killed = jobs(), Counter(), threading.Event()
    with Verifier(load_preset("baseline", ["verifier.device=cpu", "verifier.timeout_s=60"])) as alone:
        found = alone.verify_batch(batch)
    expected = [score.verdict.status for score in found]
    assert {Status.PASSED} < set(expected), {score.verdict.reason for score in found}

    with Verifier(preset(cluster, hosts=2, preparers=1)) as verifier:
        hosts = {name: _node_of(name) for name in _names("host")}
        assert len(hosts) == 2
        assert len(_names("preparer")) == 1

        def on_score(index: int, _score) -> None:
            told[index] += 1
            if sum(told.values()) == 3:
                victim = next(node for node in nodes if node.node_id in hosts.values())
                cluster.remove_node(victim, allow_graceful=False)
                killed.set()

        scores = verifier.verify_batch(batch, on_score=on_score)
        assert killed.is_set()
        assert [score.verdict.status for score in scores] == expected
        assert told == Counter(range(len(batch))), "each verdict is told once"
        assert verifier.bench.places.losses == 1
        metrics = verifier.session.collect_metrics(1)
        assert metrics["ray/hosts"] == 2
        assert 1 <= metrics["ray/calls_cut_off"] <= verifier.at_once
        # A new node takes the lost host's place.
        cluster.add_node(num_cpus=1, object_store_memory=80 << 20)
        before = list(verifier.bench.places._given)
        again = [(task, Candidate.from_code(candidate.code + "\n# again\n")) for task, candidate in batch]
        repeated = [score.verdict.status for score in verifier.verify_batch(again)]
        assert repeated == expected
        assert sum(verifier.bench.places._given) > sum(before)
    assert not _names("host"), "closing the verifier ends the actors"


def test_a_cluster_that_is_not_there_is_said() -> None:
    chosen = load_preset("baseline", ["verifier.device=cpu"]).with_plugins(ray={"address": "127.0.0.1:1"})
    with pytest.raises(HookFailure, match=r"no Ray cluster at '127\.0\.0\.1:1'"):
        Verifier(chosen)


def test_without_a_cluster_this_machine_judges() -> None:
    """`auto` and none there."""
    chosen = load_preset("baseline", ["verifier.device=cpu"]).with_plugins(ray={})
    with Verifier(chosen) as verifier:
        assert not hasattr(verifier.bench, "places")


def test_a_cluster_without_room_is_said(cluster) -> None:
    cluster.add_node(num_cpus=1, object_store_memory=80 << 20)
    with pytest.raises(HookFailure, match="room for 0 hosts of 4 CPUs"):
        Verifier(preset(cluster, cpus=4))


def _names(kind: str) -> list[str]:
    from ray.util import list_named_actors

    return [one["name"] for one in list_named_actors(all_namespaces=True) if one["name"].startswith(kind)]


def _node_of(name: str) -> str:
    """The node where an actor is; waits until it is placed."""
    import ray

    return ray.get(ray.get_actor(name, "tritonrl").node.remote())

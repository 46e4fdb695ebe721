"""The plugin keeps the contract; its references run and are fit to judge with."""

from signal_tasks import HELD_OUT, SIGNALS, SignalTasksPlugin

from tritonrl_core.tasks.fitness import examine
from tritonrl_core.testing import PluginContract


class TestSignalTasksPlugin(PluginContract):
    plugin = SignalTasksPlugin


def test_every_reference_is_fit_to_judge_with() -> None:
    plugin = SignalTasksPlugin()
    train, held_out = (list(plugin.generate_tasks(split, seed=0)) for split in ("train", "held_out"))
    assert len(train) == 2 * (len(SIGNALS) - 1)
    assert {task.id.split("/")[1].rsplit("_", 1)[0] for task in held_out} == {HELD_OUT}
    found = {task.id: examine(task) for task in (*train, *held_out)}
    assert len(found) == len(train) + len(held_out)
    assert {name: one.reason for name, one in found.items() if one.reason} == {}

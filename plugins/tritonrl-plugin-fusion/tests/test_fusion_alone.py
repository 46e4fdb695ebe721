"""The plugin from Python: what it generates, examined by the core, the same everywhere."""

import json
import subprocess
import sys

import pytest
from tritonrl_plugin_fusion import FusionPlugin

from tritonrl_core import generate_tasks, load_preset
from tritonrl_core.errors import PluginError, PresetError, TaskError
from tritonrl_core.session import Session
from tritonrl_core.tasks.decontaminate import computation_key
from tritonrl_core.tasks.export import task_row
from tritonrl_core.tasks.loaders import load_tasks
from tritonrl_core.tasks.memo import kept
from tritonrl_core.tasks.prompts import chat_messages
from tritonrl_core.tasks.room import Room


def preset(count=30, seed=0, size="small", more=(), **options):
    chosen = load_preset("baseline", ["tasks.suite=none", f"seed={seed}", f"tasks.size={size}", *more])
    return chosen.with_plugins(fusion={"count": count, **options})


@pytest.fixture(scope="module")
def tasks():
    return generate_tasks(preset(60))


def test_as_many_as_asked_for_all_level_2_and_none_twice(tasks):
    assert len(tasks) == 60
    assert {task.level for task in tasks} == {2}
    assert {task.origin for task in tasks} == {"fusion"}
    room = Room()
    assert len({room.computation(task) for task in tasks}) == 60


def test_tasks_are_added_to_those_of_the_preset():
    chosen = load_preset("fusion_data_only", ["tasks.suite=builtin"]).with_plugins(fusion={"count": 5})
    found = generate_tasks(chosen)
    assert len(found) == len(generate_tasks(load_preset("baseline", ["tasks.suite=builtin"]))) + 5


def test_a_small_models_own_tasks_are_not_drowned_unless_asked():
    def made(**options):
        chosen = load_preset("fusion_data_only").with_plugins(fusion=options)
        return [task for task in generate_tasks(chosen) if task.origin == "fusion"]

    assert len(made()) == 8
    assert len(made(count=30)) == 30


def test_every_reference_was_run_and_found_fit(tasks):
    room = Room()
    assert [room.unfit(task) for task in tasks] == [""] * len(tasks)


def test_prompts_say_what_is_asked_what_may_vary_and_what_is_cheating(tasks):
    for task in tasks[:10]:
        prompt = chat_messages(task)[-1]["content"]
        assert "one fused Triton kernel" in prompt
        assert "may take others" in prompt
        assert "count as cheating" in prompt
        assert task.prompt.split(".")[0].split(",")[0] in prompt


def test_tasks_are_graded_at_the_full_size(tasks):
    for task in tasks:
        assert task.grade["bytes"] > 1e6
        assert task.grade["eager_us"] > task.grade["roofline_us"] > 0
        assert task.grade["launches"] >= 1
        assert 0.3 <= task.grade["saving"] < 1
    assert sum(task.grade["fusible_edges"] >= 1 for task in tasks) > 50


def test_the_same_seed_gives_the_same_tasks_in_another_process(tasks):
    code = (
        "import json, sys\nfrom tritonrl_core import generate_tasks\nfrom tritonrl_core.preset import Preset\n"
        "from tritonrl_core.tasks.export import task_row\n"
        "print(json.dumps([task_row(t) for t in generate_tasks(Preset.from_data(json.load(sys.stdin)))]))"
    )
    given = json.dumps(preset(60).dump())
    done = subprocess.run([sys.executable, "-c", code], input=given, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == json.loads(json.dumps([task_row(task) for task in tasks]))


def test_another_seed_gives_others(tasks):
    others = {task.id for task in generate_tasks(preset(20, seed=1))}
    assert len(others & {task.id for task in tasks}) < 5


def test_fewer_tasks_are_the_first_of_more(tasks):
    assert [task.id for task in generate_tasks(preset(10))] == [task.id for task in tasks][:10]


def test_a_full_size_has_the_same_ids(tasks):
    full = generate_tasks(preset(3, size="full"))
    assert [task.id for task in full] == [task.id for task in tasks[:3]]
    assert full[0].source != tasks[0].source


def test_what_is_named_as_tested_on_is_not_generated(tasks, tmp_path):
    folder = tmp_path / "KernelBench" / "level2"
    folder.mkdir(parents=True)
    for number, task in enumerate(tasks[:8]):
        renamed = task.source.replace(" = 37\n", " = 40\n").replace("residual", "shortcut")
        (folder / f"{number}_tested.py").write_text(renamed)
    found = generate_tasks(preset(60, more=[f"tasks.decontaminate=['{folder}']"]))
    assert len(found) == 60
    assert not {task.id for task in tasks[:8]} & {task.id for task in found}
    tested, new = ({computation_key(task, kept("graphs")) for task in some} for some in (load_tasks(folder), found))
    assert len(tested) == 8
    assert not tested & new


def test_a_suite_that_is_not_there_is_the_users_error_and_not_the_plugins():
    with pytest.raises(TaskError, match="no such file or folder"):
        generate_tasks(preset(1, more=["tasks.decontaminate=['./nowhere.jsonl']"]))


def test_the_held_out_split_shares_no_computation_with_any_seed():
    held_out = generate_tasks(preset(0, held_out=6), "held_out")
    assert [task.split for task in held_out] == ["held_out"] * 6
    room = Room()
    keys = {room.computation(task) for task in held_out}
    for seed in (0, 5):
        assert not keys & {room.computation(task) for task in generate_tasks(preset(20, seed=seed))}


def test_patterns_shapes_and_dtypes_are_options():
    found = generate_tasks(preset(8, patterns=("conv_bn_relu",), dtypes=("float16",)))
    assert len(found) == 8
    assert all(task.id.startswith("fusion_conv_bn_relu_") for task in found)
    assert all("dtype=torch.float16" in task.source and task.dtypes == () for task in found)
    assert len({task.source for task in found}) == 8


def test_a_pattern_that_runs_dry_says_so(caplog):
    found = generate_tasks(preset(50, patterns=("conv_bn_relu",), shapes=1))
    assert 1 <= len(found) <= 4
    assert "there are no more of these patterns" in caplog.text


def test_the_saving_is_distributed_as_asked():
    found = generate_tasks(preset(20, saving={0.5: 1.0, 0.8: 1.0}))
    savings = [task.grade["saving"] for task in found]
    assert min(savings) >= 0.5
    assert sum(saving >= 0.8 for saving in savings) == 10


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"patterns": ("conv_bn_rely",)}, "conv_bn_relu"),
        ({"operators": (5, 2)}, "5 is more than 2"),
        ({"dtypes": ()}, "dtypes"),
        ({"saving": {1.5: 1.0}}, "saving"),
    ],
)
def test_bad_options_are_refused(options, said):
    with pytest.raises((PluginError, PresetError), match=said):
        generate_tasks(preset(1, **options))


def test_without_a_session_it_says_what_to_do():
    with pytest.raises(PluginError, match="without a session"):
        FusionPlugin().generate_tasks("train", 0)


def test_it_knows_a_solution_of_what_it_made_and_of_nothing_else(tasks):
    session = Session.open(preset(10))
    made = session.tasks("train").kept
    solution = session.known_solution(made[0])
    assert "class ModelNew" in solution.code
    assert solution.text[slice(*solution.plan_span)] == solution.plan
    assert solution.text[slice(*solution.code_span)].strip() == solution.code.strip()
    assert session.known_solution(tasks[-1]) is None

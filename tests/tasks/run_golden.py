"""Run golden solutions beside their references, and write one JSON line for each case.

A script and not a test: on a CPU it records, and the recorder's stand-ins would be in the way of other tests. There
each launch plan is replayed in this process; on a GPU the solution itself runs.

    python run_golden.py DEVICE SIZE CASES SEED [TASK_ID…]
"""

import importlib.util
import json
import sys
import tempfile
from pathlib import Path

import torch

from tritonrl_core.bench.outputs.tolerance import Comparison, compare
from tritonrl_core.bench.references.reference import Materials, Reference, flat_outputs
from tritonrl_core.tasks.cases import make_cases
from tritonrl_core.tasks.golden import Golden, golden_solutions
from tritonrl_core.tasks.suite import builtin_tasks
from tritonrl_core.types import CaseRequest, InputCase, Task


def load(golden: Golden, folder: Path):
    path = folder / f"{golden.task_id}.py"
    path.write_text(golden.code, encoding="utf-8")
    spec = importlib.util.spec_from_file_location(golden.task_id, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.ModelNew


def run(build, task: Task, case: InputCase, materials: Materials) -> Comparison:
    with torch.no_grad():
        model = build(*materials.init_inputs).to(materials.device)
        if case.dtype:
            model = model.to(getattr(torch, case.dtype))
        model.load_state_dict(materials.state)
        got = flat_outputs(model.train(materials.model.training)(*materials.inputs), task)
    return judged(got, task, case, materials)


def replay(golden: Golden, task: Task, case: InputCase, materials: Materials) -> Comparison:
    from tritonrl_core.bench.interpret.interpreter import PlanWalk
    from tritonrl_core.bench.interpret.memory import Arena, Shared
    from tritonrl_core.bench.record import recorder
    from tritonrl_core.bench.record.request import Arguments, RecordRequest, read_recording, specify, tensor_spec
    from tritonrl_core.bench.targets import gpu_for
    from tritonrl_core.bench.walk import fill, given_by

    arguments = Arguments(tuple(specify(materials.init_inputs)), tuple(specify(materials.inputs)))
    state = {name: tensor_spec(tensor) for name, tensor in materials.state.items()}
    request = RecordRequest(
        golden.code, arguments, state, gpu_for("sm_90"), training=materials.model.training, dtype=case.dtype
    )
    plan = read_recording(recorder.record(request))
    with Arena(plan) as arena, torch.no_grad():
        fill(plan, given_by(materials), arena.tensor, arena.raw)
        walk = PlanWalk(plan, Shared(plan, arena.fd), backwards=bool(case.seed % 2))
        walk.all(pick=0, launches=True)
        return judged([output.clone() for output in walk.outputs()], task, case, materials)


def judged(got: list[torch.Tensor], task: Task, case: InputCase, materials: Materials) -> Comparison:
    native, exact = materials.expected(), materials.expected("fp64")
    if not native[0].is_floating_point():  # an index is judged by the value it points to
        x = materials.inputs[0]
        got, exact, native = ([x.gather(1, index[:, None]) for index in side] for side in (got, exact, native))
        exact = [value.double() for value in exact]
    return compare(got, exact, native, task, case)


def main(device: str, size: str, cases: str, seed: str, *wanted: str) -> None:
    tasks = {task.id: task for task in builtin_tasks("all", size)}
    request = CaseRequest(int(cases), shapes=True, values=True, dtypes=True, layouts=True, seed=int(seed))
    with tempfile.TemporaryDirectory() as folder:
        for golden in golden_solutions():
            if wanted and golden.task_id not in wanted:
                continue
            task = tasks[golden.task_id]
            reference = Reference(task)
            for case in make_cases(task, request):
                materials = reference.materialise(case, device)
                if device == "cpu":
                    result = replay(golden, task, case, materials)
                else:
                    result = run(load(golden, Path(folder)), task, case, materials)
                line = {"task": task.id, "case": case.name, "ok": result.ok, "reason": result.reason}
                sys.stdout.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])

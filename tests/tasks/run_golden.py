"""Run golden solutions beside their references, and write one JSON line for each case.

A script and not a test: Triton decides at import whether it interprets, so `test_golden.py` starts it as a process.

    python run_golden.py DEVICE SIZE CASES SEED [TASK_ID…]
"""

import importlib.util
import json
import sys
import tempfile
from pathlib import Path

import torch

from tritonrl_core.bench.reference import Materials, Reference, flat_outputs
from tritonrl_core.bench.tolerance import Comparison, compare
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
            reference, build = Reference(task), load(golden, Path(folder))
            for case in make_cases(task, request):
                result = run(build, task, case, reference.materialise(case, device))
                line = {"task": task.id, "case": case.name, "ok": result.ok, "reason": result.reason}
                sys.stdout.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])

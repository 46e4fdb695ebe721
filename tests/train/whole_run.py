"""One rank of a whole run on the tiny policy: `whole_run.py POLICY LOG TASKS OUT (lora|all) [DIE_AFTER]`.

Goes on with OUT where it is there. Evaluates before, while and after. With DIE_AFTER each rank is interrupted after so
many judgements.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

from accelerate import PartialState

spec = importlib.util.spec_from_file_location("run_kit", Path(__file__).parent / "run_kit.py")
assert spec
assert spec.loader
kit = importlib.util.module_from_spec(spec)
spec.loader.exec_module(kit)

LORA = "train.lora={r: 2, lora_alpha: 64, target_modules: all-linear}"

if __name__ == "__main__":
    policy, log, tasks, out = map(Path, sys.argv[1:5])
    overrides = ["eval.every=4", *([LORA] if sys.argv[5] == "lora" else [])]
    die_after = int(sys.argv[6]) if len(sys.argv) > 6 else -1
    where = {"resume": out} if out.exists() else {"out": out}
    kit.run(policy, log, tasks, overrides=overrides, die_after=die_after, evaluate=True, **where)
    PartialState().destroy_process_group()

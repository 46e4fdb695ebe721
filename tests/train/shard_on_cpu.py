"""Runs a script under FSDP2 on CPUs: `shard_on_cpu.py SCRIPT ARGUMENTS…`.

accelerate shards on accelerators only, torch on CPUs too (by gloo). So accelerate is told that ranks on CPUs are ranks
on GPUs; everything else is as there.
"""

from __future__ import annotations

import runpy
import sys
from typing import Any

from accelerate.state import PartialState
from accelerate.utils import DistributedType

initialise = PartialState.__init__


def as_if_on_gpus(self: PartialState, *arguments: Any, **options: Any) -> None:
    initialise(self, *arguments, **options)
    if self.distributed_type is DistributedType.MULTI_CPU:
        self.distributed_type = DistributedType.MULTI_GPU


if __name__ == "__main__":
    PartialState.__init__ = as_if_on_gpus
    sys.argv = sys.argv[1:]
    runpy.run_path(sys.argv[0], run_name="__main__")

"""Switches of a worker's process."""

import subprocess
import sys

GATHER = """
import mmap, os
from tritonrl_core.bench.processes.process import gather_memory
memory = mmap.mmap(-1, 9 << 20, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
memory.write(os.urandom(9 << 20))
before = hash(memory[:])
gather_memory()
child = os.fork()
if child == 0:
    os._exit(hash(memory[:]) != before)
print(hash(memory[:]) == before, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def test_memory_that_is_gathered_says_what_it_said():
    done = subprocess.run([sys.executable, "-c", GATHER], capture_output=True, text=True, check=True)
    assert done.stdout == "True 0\n"

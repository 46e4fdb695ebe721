"""The kit for plugin authors: a contract to hold a plugin to, a session that discovers nothing, candidates with known
verdicts, and honest fakes.

    from tritonrl_core.testing import PluginContract

    class TestMine(PluginContract):
        plugin = MyPlugin

Needs pytest; nothing outside tests imports it. `testing.pytest_plugin` brings fixtures to every test run.
"""

from tritonrl_core.testing.contract import PluginContract
from tritonrl_core.testing.fakes import FakeBench, FakeProgram
from tritonrl_core.testing.labelled import Labelled, labelled_candidates
from tritonrl_core.testing.samples import (
    SAMPLE_KERNEL,
    SAMPLE_REFERENCE,
    hook_arguments,
    sample_candidate,
    sample_score,
    sample_task,
    sample_timing,
)
from tritonrl_core.testing.sessions import session_with

__all__ = [
    "SAMPLE_KERNEL",
    "SAMPLE_REFERENCE",
    "FakeBench",
    "FakeProgram",
    "Labelled",
    "PluginContract",
    "hook_arguments",
    "labelled_candidates",
    "sample_candidate",
    "sample_score",
    "sample_task",
    "sample_timing",
    "session_with",
]

"""The plugin keeps the contract, and lean kernels gain on others that are as right."""

from dataclasses import replace

import pytest
from memory_reward import MemoryRewardPlugin

from tritonrl_core.testing import PluginContract, sample_score, session_with
from tritonrl_core.types import Status


class TestMemoryRewardPlugin(PluginContract):
    plugin = MemoryRewardPlugin


def with_peak(status: Status, peak: int):
    score = sample_score(status, speedup=1.0)
    return replace(score, verdict=replace(score.verdict, facts={"peak_bytes": peak}))


def test_less_memory_earns_more_and_wrong_kernels_gain_nothing() -> None:
    group = [with_peak(Status.PASSED, 1000), with_peak(Status.PASSED, 3000), with_peak(Status.WRONG, 1)]
    plain = session_with().assign_credit(group)
    lean, fat, wrong = session_with(MemoryRewardPlugin).assign_credit(group)
    assert lean.code - plain[0].code == pytest.approx(0.05)
    assert fat.code - plain[1].code == pytest.approx(-0.05)
    assert wrong == plain[2]

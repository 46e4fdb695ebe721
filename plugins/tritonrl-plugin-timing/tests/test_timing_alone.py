"""The plugin by itself, from Python."""

from dataclasses import replace

import pytest
from pydantic import ValidationError
from tritonrl_plugin_timing import TimingPlugin

from tritonrl_core.errors import InfraError
from tritonrl_core.testing import FakeProgram, sample_task, session_with
from tritonrl_core.testing.samples import SAMPLE_KERNEL, sample_timing

MEASURED = replace(sample_timing(2.0), facts={"gpu_ms": 12.5, "drift": 0.03})
ESTIMATED = replace(sample_timing(2.0, clock="estimated"), notes=("a roofline",), reward_allowed=False)


def plugin(**options: object) -> TimingPlugin:
    return TimingPlugin(TimingPlugin.Options(**options))


def test_the_defaults_are_the_published_figures_as_upper_bounds():
    program = FakeProgram(timing=MEASURED)
    assert plugin().measure_speed(sample_task(), program) == MEASURED
    [asked] = program.protocols
    assert (asked.method, asked.warmup, asked.trials, asked.trim) == ("adaptive", 20, 100, 0.1)
    assert (asked.baselines, asked.captures) == (("eager",), 3)


def test_every_option_reaches_the_clock():
    options = {"warmup": 5, "trials": 30, "trim": 0.2, "ci": 0.02, "budget_s": 0.5, "captures": 2,
               "baselines": ("compiled", "eager")}  # fmt: skip
    asked = plugin(mode="published", **options).protocol
    assert asked.method == "published"
    assert {name: getattr(asked, name) for name in options} == options


@pytest.mark.parametrize("wrong", [{"mode": "best"}, {"trim": 0.5}, {"trials": 1}, {"ci": 0}, {"captures": 0},
                                   {"baselines": ()}, {"baselines": ("fastest",)}])  # fmt: skip
def test_options_that_cannot_be_meant_are_refused(wrong):
    with pytest.raises(ValidationError):
        plugin(**wrong)


def test_an_estimate_stays_one_and_says_so():
    timing = plugin().measure_speed(sample_task(), FakeProgram(timing=ESTIMATED))
    assert timing.estimated
    assert not timing.reward_allowed
    assert timing.notes[0] == "a roofline"
    assert "nothing to time" in timing.notes[1]


def test_a_clock_that_fails_is_nobodys_fault_but_ours():
    with pytest.raises(InfraError):
        plugin().measure_speed(sample_task(), FakeProgram())


def test_metrics_count_what_was_measured_since_they_were_last_asked():
    timing = plugin()
    assert timing.collect_metrics(0) == {}
    timing.measure_speed(sample_task(), FakeProgram(timing=MEASURED))
    timing.measure_speed(sample_task(), FakeProgram(timing=replace(MEASURED, reward_allowed=False)))
    timing.measure_speed(sample_task(), FakeProgram(timing=ESTIMATED))
    with pytest.raises(InfraError):
        timing.measure_speed(sample_task(), FakeProgram())
    assert timing.collect_metrics(1) == {
        "measured": 2.0, "estimated": 1.0, "not_measured": 1.0, "gpu_ms": 25.0, "drifted": 2.0, "not_believed": 1.0,
    }  # fmt: skip
    assert timing.collect_metrics(2) == {}


def test_a_session_names_it_as_the_source():
    session = session_with(TimingPlugin)
    assert session.measure_speed(sample_task(), FakeProgram(timing=MEASURED)).source == "timing"


def test_with_it_off_the_base_takes_a_few_synchronised_runs():
    program = FakeProgram(timing=MEASURED)
    assert session_with().measure_speed(sample_task(), program).source == "base"
    [asked] = program.protocols
    assert (asked.method, asked.trim) == ("simple", 0.0)


def test_on_a_machine_without_a_gpu_a_verifier_shows_an_estimate_that_earns_nothing():
    from tritonrl_core import Verifier, load_preset

    preset = load_preset("calibrated_timing_only", ["verifier.device=cpu", "verifier.cpu_workers=1"])
    with Verifier(preset) as verifier:
        score = verifier.verify(sample_task(), SAMPLE_KERNEL)
    assert score.verdict.correct, score.verdict.reason
    assert score.timing is not None
    assert (score.timing.clock, score.timing.source) == ("estimated", "timing")
    assert any("nothing to time" in note for note in score.timing.notes)
    assert score.reward.speed == 0.0

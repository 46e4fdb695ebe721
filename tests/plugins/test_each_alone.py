"""Each shipped extension alone, from Python, and the code that the documentation shows for it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tritonrl_core import Verifier, load_preset
from tritonrl_core.session.discovery import SHIPPED
from tritonrl_core.testing import SAMPLE_KERNEL, labelled_candidates, sample_task
from tritonrl_core.types import Status

PAGE = Path(__file__).resolve().parents[2] / "docs" / "plugins" / "index.md"


@pytest.mark.slow
@pytest.mark.parametrize("name", SHIPPED)
def test_a_verifier_with_one_extension_judges_kernels(name: str) -> None:
    preset = load_preset("baseline", ["verifier.device=cpu", "verifier.cpu_workers=1"]).with_plugins(name)
    samples = {sample.label: sample for sample in labelled_candidates()}
    with Verifier(preset) as verifier:
        assert list(verifier.session.plugins) == ["base", name]
        verdicts = {label: verifier.verify(sample.task, sample.candidate).verdict for label, sample in samples.items()
                    if label in ("passes", "wrong")}  # fmt: skip
    assert {label: verdict.status for label, verdict in verdicts.items()} == {
        "passes": Status.PASSED,
        "wrong": Status.WRONG,
    }


@pytest.mark.slow
def test_the_code_of_the_page_runs(capsys: pytest.CaptureFixture[str]) -> None:
    section = PAGE.read_text().split("\n## Each alone, from Python\n", 1)[1]
    code = re.search(r"```python\n(.*?)```", section, re.DOTALL)
    assert code
    names = {"task": sample_task(), "code": SAMPLE_KERNEL}
    exec(compile(code[1], str(PAGE), "exec"), names)
    assert names["score"].verdict.status is Status.PASSED
    count = int(capsys.readouterr().out)
    assert count == len(names["tasks"]) > 100

"""`tritonrl doctor` says what to do about a package that does not fit; what is said of it later is a riddle."""

import pytest

from tritonrl_core.cli.doctor import does_not_fit


@pytest.mark.parametrize(("name", "version"), [("triton", "3.5.1"), ("trl", "1.17.0"), ("peft", "0.1")])
def test_a_version_that_does_not_fit_is_told_with_what_would(name: str, version: str) -> None:
    assert f"pip install '{name}" in does_not_fit(name, version)


@pytest.mark.parametrize(("name", "version"), [("triton", "3.9.0"), ("torch", "2.13.0+cpu"), ("vllm", "0.1")])
def test_nothing_is_said_of_one_that_does(name: str, version: str) -> None:
    assert does_not_fit(name, version) == ""

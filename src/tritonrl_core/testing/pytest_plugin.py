"""The kit as a pytest plugin, found by pytest wherever the core is installed: two fixtures and the kit's marks.

It loads nothing heavy until a fixture is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tritonrl_core.session import Session
    from tritonrl_core.verifier import Verifier


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "slow: takes seconds; leave out with -m 'not slow'")
    config.addinivalue_line("markers", "gpu: needs an NVIDIA GPU")


@pytest.fixture
def tritonrl_session() -> Callable[..., Session]:
    """`tritonrl_session(MyPlugin, options={"mine": {…}})`: a session of these plugin classes and nothing else."""
    from tritonrl_core.testing.sessions import session_with

    return session_with


@pytest.fixture
def tritonrl_verifier() -> Iterator[Callable[..., Verifier]]:
    """`tritonrl_verifier("mine", timeout_s=3)`: a verifier of the baseline and these plugins, closed afterwards.

    Keywords are fields of the preset's `verifier`; it runs on the CPU with one worker unless they say otherwise.
    """
    from tritonrl_core.preset import load_preset
    from tritonrl_core.verifier import Verifier

    with ExitStack() as open_ones:

        def make(*plugins: str, **settings: Any) -> Verifier:
            wanted = {"device": "cpu", "cpu_workers": 1, **settings}
            preset = load_preset("baseline", [f"verifier.{key}={value}" for key, value in wanted.items()])
            return open_ones.enter_context(Verifier(preset.with_plugins(*plugins)))

        yield make

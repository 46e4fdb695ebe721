"""tritonrl: train language models by reinforcement learning to write Triton kernels, and judge such kernels.

From Python:

    from tritonrl_core import Verifier, generate_tasks, load_preset

Importing this package loads neither torch nor triton nor transformers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tritonrl_core.preset import Preset, load_preset
    from tritonrl_core.session import generate_tasks
    from tritonrl_core.verifier import Verifier

__version__ = "0.1.0"
__all__ = ["Preset", "Verifier", "__version__", "generate_tasks", "load_preset"]

_WHERE = {
    "Preset": "tritonrl_core.preset",
    "load_preset": "tritonrl_core.preset",
    "generate_tasks": "tritonrl_core.session",
    "Verifier": "tritonrl_core.verifier",
}


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_WHERE[name]), name)

"""A base for modes that watch what PyTorch is asked to do, without loading its compiler. It watches nothing itself."""

from __future__ import annotations

from torch.utils._python_dispatch import TorchDispatchMode


class DispatchMode(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """A `TorchDispatchMode` whose first call costs nothing.

    PyTorch wraps the `__torch_dispatch__` of others so that `torch.compile` keeps out of it, and loads
    the whole of dynamo for it at the first call: a second of CPU before the first verdict.
    Nothing here is compiled.
    """

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False

"""Entry point of a worker process: `python -m tritonrl_core.worker FD`. Started by `bench.forkserver`, by nobody else.

It rebuilds the session from the preset that it is sent, so that the `sandbox_exec` of the preset's plugins answers
here, and then serves jobs. It is sent nothing that a candidate must not know.
"""

from __future__ import annotations

import socket
import sys
from collections.abc import Mapping
from typing import Any, NoReturn

from tritonrl_core.bench.processes import warm, wire


def main(arguments: list[str]) -> NoReturn:
    control = socket.socket(fileno=int(arguments[0]))
    control.set_inheritable(False)
    config, _ = wire.receive(control)
    warm.serve(control, config["entry"], config["profile"], _sandbox(config["preset"]), config["yields"])


def _sandbox(preset: Mapping[str, Any]) -> warm.Sandbox:
    """The session's `sandbox_exec`; the base's where the bench was opened without a preset."""
    if not preset:
        from tritonrl_core.base.sandbox_exec import run_forked

        return run_forked
    from tritonrl_core.preset import Preset
    from tritonrl_core.session import Session

    return Session.open(Preset.from_data(preset)).sandbox_exec


if __name__ == "__main__":
    main(sys.argv[1:])

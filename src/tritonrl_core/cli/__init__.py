"""The command line: the only place that prints. One module a command; what is heavy is imported inside it."""

from __future__ import annotations

import os
import sys

from tritonrl_core.errors import TritonRLError

INTERRUPTED = 130


def main() -> None:
    """Run the `tritonrl` command. Errors of ours become one message and their exit code, never a traceback."""
    from tritonrl_core.cli.app import app
    from tritonrl_core.cli.output import complain

    try:
        app(prog_name="tritonrl")
    except TritonRLError as error:
        complain(error)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        # The reader (`| head`) is gone; point stdout at nothing so that the interpreter's last flush does not complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)

"""The command line: the only place that prints. One module a command; what is heavy is imported inside it."""

from __future__ import annotations

import os
import sys
from errno import ENOSPC
from io import TextIOWrapper

from tritonrl_core.errors import InfraError, TritonRLError, UsageError

INTERRUPTED = 130


def main() -> None:
    """Run the `tritonrl` command. Errors of ours, and of files and folders, become one message and an exit code."""
    from tritonrl_core.bench.processes import bytecode
    from tritonrl_core.cli.app import app
    from tritonrl_core.cli.output import complain

    _print_what_the_terminal_cannot()
    bytecode.keep()
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
    except OSError as error:
        said = file_error(error)
        if said is None:
            raise
        complain(said)
        sys.exit(said.exit_code)


def file_error(error: OSError) -> TritonRLError | None:
    """What the system refused to do with a file, as an error of ours; None where it was about something else."""
    if error.errno == ENOSPC:
        place = f" for {error.filename}" if error.filename else ""
        return InfraError(f"no space left on the disk{place}", remedy="Make room. A run goes on with --resume.")
    if error.filename is None:
        return None
    return UsageError(f"{error.filename}: {error.strerror}", remedy="Name a place that may be read and written.")


def _print_what_the_terminal_cannot() -> None:
    """A character that the terminal's encoding has not (a path's, a candidate's) is escaped and ends nothing."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")

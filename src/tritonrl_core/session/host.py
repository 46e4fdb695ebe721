"""Entry point of a host process: `python -m tritonrl_core.session.host FD`. Started by `bench.host_process`.

It lies here because a host makes the cases of tasks, and the bench may not know of tasks.
"""

from __future__ import annotations

import sys


def main(arguments: list[str]) -> None:
    from tritonrl_core.bench.host_process import serve
    from tritonrl_core.session.benches import Benches

    serve(int(arguments[0]), Benches().host)


if __name__ == "__main__":
    main(sys.argv[1:])

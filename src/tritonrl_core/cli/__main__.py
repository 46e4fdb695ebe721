"""`python -m tritonrl_core.cli`: the same command where only a module can be named, as by a launcher."""

from tritonrl_core.cli import main

main()

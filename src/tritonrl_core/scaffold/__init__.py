"""Writes the package of a new plugin: it installs, is listed and passes its own tests, and is to be changed from there.

`package.py` lays out the files, `hooks.py` has what each hook starts with. It knows nothing of what is installed.
"""

from tritonrl_core.scaffold.package import new_plugin

__all__ = ["new_plugin"]

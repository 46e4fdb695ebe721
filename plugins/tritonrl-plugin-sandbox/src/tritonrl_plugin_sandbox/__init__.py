"""Confines the child processes in which a model's code runs."""

from tritonrl_plugin_sandbox.plugin import SandboxPlugin

__version__ = "0.1.0"
__all__ = ["SandboxPlugin"]

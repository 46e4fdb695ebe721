"""Confines the child processes in which a model's code runs."""

from tritonrl_plugin_sandbox.plugin import SandboxPlugin
from tritonrl_plugin_sandbox.report import HostReport, host_report

__version__ = "0.1.0"
__all__ = ["HostReport", "SandboxPlugin", "host_report"]

"""Checks a kernel on several inputs that vary what the task declares variable."""

from tritonrl_plugin_multi_input.plugin import MultiInputPlugin

__version__ = "0.1.0"
__all__ = ["MultiInputPlugin"]

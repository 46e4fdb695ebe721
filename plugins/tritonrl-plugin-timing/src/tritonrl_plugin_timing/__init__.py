"""Measures speed with a stated uncertainty."""

from tritonrl_plugin_timing.plugin import TimingPlugin

__version__ = "0.1.0"
__all__ = ["TimingPlugin"]

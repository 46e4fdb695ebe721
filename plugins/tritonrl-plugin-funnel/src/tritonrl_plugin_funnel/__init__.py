"""Asks cheap questions about a kernel before dear ones."""

from tritonrl_plugin_funnel.plugin import FunnelPlugin

__version__ = "0.1.0"
__all__ = ["FunnelPlugin"]

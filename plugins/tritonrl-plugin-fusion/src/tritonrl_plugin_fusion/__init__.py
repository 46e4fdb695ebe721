"""Adds generated level-2 (fused) tasks to those of the preset."""

from tritonrl_plugin_fusion.plugin import FusionPlugin

__version__ = "0.1.0"
__all__ = ["FusionPlugin"]

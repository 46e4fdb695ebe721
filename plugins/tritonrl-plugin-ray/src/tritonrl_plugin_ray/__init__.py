"""Judges candidates on a cluster of machines, by Ray."""

from tritonrl_plugin_ray.plugin import RayPlugin

__version__ = "0.1.0"
__all__ = ["RayPlugin"]

"""Moves the mix of levels as the model learns."""

from tritonrl_plugin_curriculum.plugin import CurriculumPlugin

__version__ = "0.1.0"
__all__ = ["CurriculumPlugin"]

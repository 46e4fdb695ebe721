"""tritonrl-plugin-recorded: a plugin of tritonrl."""

from tritonrl_plugin_recorded.plugin import RecordedPlugin

__all__ = ["RecordedPlugin"]

"""The plugin keeps the contract that every plugin keeps."""

from tritonrl_core.testing import PluginContract
from tritonrl_plugin_timing import TimingPlugin


class TestTimingPlugin(PluginContract):
    plugin = TimingPlugin

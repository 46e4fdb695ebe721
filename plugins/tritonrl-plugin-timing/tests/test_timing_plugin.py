"""The plugin keeps the contract that every plugin keeps."""

from tritonrl_plugin_timing import TimingPlugin

from tritonrl_core.testing import PluginContract


class TestTimingPlugin(PluginContract):
    plugin = TimingPlugin

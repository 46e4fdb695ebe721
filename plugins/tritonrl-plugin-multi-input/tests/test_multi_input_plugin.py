"""The plugin keeps the contract that every plugin keeps."""

from tritonrl_plugin_multi_input import MultiInputPlugin

from tritonrl_core.testing import PluginContract


class TestMultiInputPlugin(PluginContract):
    plugin = MultiInputPlugin

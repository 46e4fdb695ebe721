"""The plugin keeps the contract that every plugin keeps."""

from tritonrl_core.testing import PluginContract
from tritonrl_plugin_multi_input import MultiInputPlugin


class TestMultiInputPlugin(PluginContract):
    plugin = MultiInputPlugin

"""The plugin keeps the contract that every plugin keeps."""

from tritonrl_plugin_funnel import FunnelPlugin

from tritonrl_core.testing import PluginContract


class TestFunnelPlugin(PluginContract):
    plugin = FunnelPlugin

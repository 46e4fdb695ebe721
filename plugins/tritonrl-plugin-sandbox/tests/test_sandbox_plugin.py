"""The plugin keeps the contract that every plugin keeps."""

from tritonrl_core.testing import PluginContract

from tritonrl_plugin_sandbox import SandboxPlugin


class TestSandboxPlugin(PluginContract):
    plugin = SandboxPlugin

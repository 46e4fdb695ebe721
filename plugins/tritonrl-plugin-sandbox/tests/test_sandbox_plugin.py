"""The plugin keeps the contract that every plugin keeps."""

from tritonrl_plugin_sandbox import SandboxPlugin

from tritonrl_core.testing import PluginContract


class TestSandboxPlugin(PluginContract):
    plugin = SandboxPlugin

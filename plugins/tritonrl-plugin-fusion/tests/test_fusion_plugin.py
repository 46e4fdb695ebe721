"""The plugin keeps the contract that every plugin keeps."""

from tritonrl_plugin_fusion import FusionPlugin

from tritonrl_core.testing import PluginContract


class TestFusionPlugin(PluginContract):
    plugin = FusionPlugin
    options = {"count": 3}  # noqa: RUF012

"""The plugin keeps the contract that every plugin keeps."""

from tritonrl_plugin_curriculum import CurriculumPlugin

from tritonrl_core.testing import PluginContract


class TestCurriculumPlugin(PluginContract):
    plugin = CurriculumPlugin

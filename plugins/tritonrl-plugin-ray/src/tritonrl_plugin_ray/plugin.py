"""The plugin's class: its hooks. Ray is imported when a bench is opened."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

from tritonrl_core.errors import UsageError
from tritonrl_core.plugin import Plugin, PluginContext, PluginOptions, hookimpl
from tritonrl_core.types import Bench, BenchSpec
from tritonrl_plugin_ray.options import RayOptions

if TYPE_CHECKING:
    from tritonrl_plugin_ray.fleet import Fleet


class RayPlugin(Plugin):
    """Opens the bench on a Ray cluster: programs at one actor a GPU, recorded and compiled on any CPUs."""

    name = "ray"

    class Options(RayOptions):
        """As `RayOptions` says."""

    def __init__(self, options: PluginOptions | None = None, context: PluginContext | None = None) -> None:
        super().__init__(options, context)
        self._fleet: Fleet | None = None

    @staticmethod
    def doctor() -> list[tuple[str, str, str]]:
        """Whether Ray is there."""
        try:
            return [("ray", version("ray"), "")]
        except PackageNotFoundError:
            return [("ray", "not installed", "pip install ray")]

    @hookimpl
    def open_bench(self, spec: BenchSpec) -> Bench | None:
        """A bench of actors. Declines where the address is `auto` and this machine is in no cluster.

        Raises `UsageError` where a cluster that was named is not there, or has no room.
        """
        if self.context.benches is None:
            raise UsageError("the plugin ray opens benches within a session only", remedy="Use `Verifier(preset)`.")
        try:
            from tritonrl_plugin_ray.fleet import Fleet, connect
        except ImportError as error:
            raise UsageError(f"Ray does not import: {error}", remedy="pip install ray") from error
        if not connect(self.options.address):
            return None
        self._fleet = Fleet(self.options, self.context.benches, spec)
        return self._fleet.bench

    @hookimpl
    def collect_metrics(self, step: int) -> Mapping[str, float] | None:
        """Hosts, and how often one was lost since the start."""
        return None if self._fleet is None else self._fleet.metrics()

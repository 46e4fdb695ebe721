"""What a test's script finds in its own process: sandboxes of every tier, and a way to answer."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import replace

from tritonrl_core.types import Limits, SandboxJob, SandboxResult

from tritonrl_plugin_sandbox import SandboxPlugin, prepare

__all__ = ["HOST", "Limits", "SandboxJob", "SandboxPlugin", "answer", "children", "on", "os", "plain", "replace", "run"]

HOST = prepare.probe(prepare.software())
LIMITS = {"wall_s": 10.0, "cpu_s": 10.0, "memory_bytes": 1 << 30, "output_bytes": 1 << 16}


def on(tier: str, **options) -> SandboxPlugin:
    """The plugin as it is on a host of this tier (at most what this host has)."""
    version = int(tier[1:] or (5 if tier == "C" else HOST.landlock))
    host = replace(HOST, landlock=version, namespaces=HOST.namespaces if tier[0] == "A" else 0)
    plugin = SandboxPlugin(SandboxPlugin.Options(**options))
    demand = prepare.Demand(plugin.options.require, plugin.options.switched_off())
    plugin._prepared = os.getpid(), prepare.prepare(demand, host)
    return plugin


def run(plugin: SandboxPlugin, entry, profile: str = "record", keep_fds=(), **limits) -> SandboxResult:
    """One job; `entry` may return text."""

    def as_bytes() -> bytes:
        got = entry()
        return got if isinstance(got, bytes) else str(got).encode()

    return plugin.sandbox_exec(SandboxJob(as_bytes, Limits(**{**LIMITS, **limits}), profile, tuple(keep_fds)))


def plain(result: SandboxResult) -> list[str]:
    return [result.outcome, result.payload.decode("utf-8", "replace"), result.detail, result.sandbox]


def children() -> list[str]:
    with open(f"/proc/self/task/{os.getpid()}/children") as file:
        return file.read().split()


def answer(value: object) -> None:
    sys.stdout.write(json.dumps(value))

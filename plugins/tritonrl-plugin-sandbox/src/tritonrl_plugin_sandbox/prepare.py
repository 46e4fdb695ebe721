"""What is prepared once per worker process: probe the host, choose the tier, build each profile's layers.

The choice fails closed: below the demanded tier there is a reason instead of a box, and nothing runs.
"""

from __future__ import annotations

import hashlib
import sysconfig
from dataclasses import dataclass, field, replace
from pathlib import Path

from tritonrl_plugin_sandbox import landlock, linux, namespaces, profiles, seccomp
from tritonrl_plugin_sandbox.child import Confinement
from tritonrl_plugin_sandbox.host import Host, missing, probe
from tritonrl_plugin_sandbox.tables import this_arch
from tritonrl_plugin_sandbox.view import view_of
from tritonrl_plugin_sandbox.worker import Box

WEAKENED = {
    "no_file_access": "files readable",
    "no_network": "network open",
    "syscall_filter": "no syscall filter",
}
"""Options that switch a layer off, and what the results then say."""


@dataclass(frozen=True, slots=True)
class Demand:
    """What was asked for: the weakest tier that is accepted, and layers switched off by name (see `WEAKENED`)."""

    require: str = "auto"
    off: frozenset[str] = frozenset()


class Unfit(Exception):  # noqa: N818 - a state of the host, told as a result and not as an error
    """This host does not reach what is demanded; says which layer is missing and how to get it."""


@dataclass
class Prepared:
    """The boxes of one process, made when a profile is first asked for."""

    demand: Demand
    host: Host
    boxes: dict[str, Box] = field(default_factory=dict)

    def box(self, name: str) -> Box:
        """The box of a profile. Raises `Unfit` below the demanded tier and KeyError for an unknown profile."""
        if name not in self.boxes:
            check(self.host, self.demand)
            self.boxes[name] = _build(name, self.host, self.demand)
        return self.boxes[name]


def prepare(demand: Demand, host: Host | None = None) -> Prepared:
    """Get this process ready to fork confined children: probe it (unless told) and let orphans come to it."""
    linux.prctl(linux.PR_SET_CHILD_SUBREAPER, 1)
    return Prepared(demand, host or probe(software()))


def software() -> tuple[Path, ...]:
    """Folders that whoever runs candidates must be able to read."""
    return tuple(Path(sysconfig.get_path(name)) for name in ("stdlib", "purelib", "platlib"))


def check(host: Host, demand: Demand) -> None:
    """Raise `Unfit` where the host is below the demand, naming each missing layer and its remedy."""
    wanted = "C" if demand.require == "auto" else demand.require
    reasons = missing(host, wanted)
    if "syscall_filter" in demand.off and not host.namespaces:
        reasons.append("syscall filter: without namespaces it must be on, or children could not be killed for certain")
    if reasons:
        raise Unfit(
            f"this host does not reach sandbox tier {wanted} (it reaches {host.tier or 'none'}). Missing: "
            + "; ".join(reasons)
            + ". Nothing is run. `tritonrl doctor` shows the layers; without the plugin `sandbox` nothing is confined"
        )


def label(host: Host, demand: Demand, program: bytes | None) -> str:
    """How results name the isolation: the tier first, then the layers."""
    layers = [f"landlock {host.landlock}"]
    if program is not None:
        layers.append(f"seccomp {hashlib.sha256(program).hexdigest()[:8]}")
    if host.namespaces:
        layers.append(f"namespaces {namespaces.describe(host.namespaces)}")
    if host.identity is not None:
        layers.append("own uid")
    weak = [WEAKENED[name] for name in sorted(demand.off)]
    tier = "weakened (" + ", ".join(weak) + ")" if weak else host.tier
    return f"{tier}: {', '.join(layers)}"


def _build(name: str, host: Host, demand: Demand) -> Box:
    network = "no_network" in demand.off
    files = "no_file_access" in demand.off
    chosen = profiles.with_network(profiles.profile(name)) if network else profiles.profile(name)
    flags = host.namespaces & ~(linux.CLONE_NEWNET if network else 0)
    own_root = bool(flags & linux.CLONE_NEWNS) and not (files and chosen.name != "compile")
    rules = profiles.file_rules(name) | (profiles.everything() if files else {})
    arch = this_arch()
    if arch is None:
        raise Unfit("there is no syscall table for this machine")
    program = None if "syscall_filter" in demand.off else seccomp.assemble(chosen.rules, arch)
    confinement = Confinement(
        flags=flags,
        identity=host.identity,
        view=view_of(profiles.shown(name)) if own_root else None,
        ruleset=None if chosen.processes else landlock.ruleset(rules, host.landlock, network=network),
        rules=rules,
        landlock_version=host.landlock,
        program=program,
        network=network,
        files=files,
        processes=chosen.processes,
        environment=linux.initial_environment(),
    )
    return Box(confinement, label(replace(host, namespaces=flags), demand, program))

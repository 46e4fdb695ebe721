"""The project's own errors: one small family, each with what went wrong, where, and what to do about it.

A bad *candidate* is never an error (it is a `Verdict`); these are for bad input of the user's, plugins that break the
rules and faults of ours. The command line turns each into one message and its `exit_code`.
"""

from collections.abc import Iterable
from difflib import get_close_matches


def did_you_mean(name: object, known: Iterable[object]) -> str:
    """A sentence for a remedy: the nearest of the known names, or all of them where none is near."""
    names = sorted(str(choice) for choice in known)
    near = get_close_matches(str(name), names, n=1, cutoff=0.6)
    if near:
        return f"Did you mean {near[0]!r}?"
    return f"Known: {', '.join(names)}." if names else ""


class TritonRLError(Exception):
    """Base of the family. `remedy` is the sentence that tells the reader what to do next."""

    exit_code = 3

    def __init__(self, message: str, *, remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message}\n  {self.remedy}" if self.remedy else self.message


class UsageError(TritonRLError):
    """A missing file, an unknown name, a bad value on the command line."""

    exit_code = 2


class PresetError(UsageError):
    """A preset that is missing, malformed, or names something that does not exist."""


class TaskError(UsageError):
    """A reference that is missing, malformed, does not run, or is unfit to judge with."""


class ModelError(UsageError):
    """A model path or name that cannot be loaded."""


class SandboxError(UsageError):
    """The sandbox that a preset asks for cannot be set up on this machine: nothing can be judged, so all ends here."""


class PluginError(TritonRLError):
    """A plugin that is not installed, does not load, or breaks a rule of the session."""

    exit_code = 2


class HookFailure(PluginError):  # noqa: N818 - an event with someone to blame, not a kind of error
    """A plugin's hook raised. Carries the plugin, hook, distribution and version to blame; the cause is chained."""

    exit_code = 3

    def __init__(
        self, message: str, *, plugin: str, hook: str, distribution: str, version: str, remedy: str = ""
    ) -> None:
        super().__init__(message, remedy=remedy)
        self.plugin = plugin
        self.hook = hook
        self.distribution = distribution
        self.version = version


class InfraError(TritonRLError):
    """Our own fault or our machine's: a worker that died, memory of ours that ran out. Becomes status `INFRA`."""


class PlaceLost(InfraError):  # noqa: N818 - an event of a place; named for what happened
    """A place of a fleet is gone, and whatever it had in work with it: to be done again elsewhere."""

"""The hooks of one session's plugins, as pluggy has them: who is asked in which order, behind which guard, and who
answered last. What each hook means to its caller says `session`.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Any

import pluggy

from tritonrl_core import hookspecs
from tritonrl_core.errors import PluginError
from tritonrl_core.hookspecs import PROJECT, RULES
from tritonrl_core.plugin import hookimpl
from tritonrl_core.session.discovery import BASE
from tritonrl_core.session.explanation import HookExplanation, Who
from tritonrl_core.session.guard import Owner, guarded, guarded_wrapper
from tritonrl_core.session.implementations import implementations


class Hooks:
    """Asks plugins, the last of `owners` first. `picks` names the one owner of a hook that several want."""

    def __init__(self, owners: Sequence[Owner], picks: Mapping[str, str]) -> None:
        self._owners = {owner.name: owner for owner in owners}
        self._picks = picks
        self._local = threading.local()
        self._asked: dict[str, list[Who]] = {hook: [] for hook in RULES}
        self._wrapping: dict[str, list[Who]] = {hook: [] for hook in RULES}
        self._passed_over: dict[str, list[Who]] = {hook: [] for hook in RULES}
        self._manager = pluggy.PluginManager(PROJECT)
        self._manager.add_hookspecs(hookspecs)
        for owner in owners:  # pluggy asks the one registered last first
            self._register(owner)

    def answers(self, hook: str, **arguments: Any) -> Any:
        """For a hook with one answer that one or None; else a list of all answers, the first asked first."""
        getattr(self._local, "answered", {}).pop(hook, None)
        return getattr(self._manager.hook, hook)(**arguments)

    def answer(self, hook: str, **arguments: Any) -> Any:
        """The answer of a hook that somebody must answer. Raises `PluginError` where all decline."""
        answer = self.answers(hook, **arguments)
        if answer is None:
            raise PluginError(
                f"nobody answered {hook}(): all enabled plugins declined, the base too", remedy="Report it."
            )
        return answer

    def last_answer(self, hook: str) -> str:
        """The plugin that answered this hook's last call from this thread, "" where all declined."""
        answered: dict[str, str] = getattr(self._local, "answered", {})
        return answered.get(hook, "")

    def refuse(self, hook: str, what: str) -> PluginError:
        """What to raise where this thread's last answer to a hook cannot be right."""
        return self._owners[self.last_answer(hook)].failure(hook, what)

    def explained(self) -> tuple[HookExplanation, ...]:
        """Every hook with those who answer it, in the order in which they are asked."""
        return tuple(
            HookExplanation(
                hook=hook, kind=rule.kind,
                asked=tuple(reversed(self._asked[hook])), wrappers=tuple(reversed(self._wrapping[hook])),
                passed_over=tuple(reversed(self._passed_over[hook])),
            )
            for hook, rule in RULES.items()
        )  # fmt: skip

    def _register(self, owner: Owner) -> None:
        guards: dict[str, Any] = {}
        for found in implementations(type(owner.plugin)):
            place = self._wrapping if found.wrapper else self._asked
            if not found.wrapper and self._picks.get(found.hook, owner.name) != owner.name != BASE:
                self._passed_over[found.hook].append(owner.who)
                continue
            place[found.hook].append(owner.who)
            guard = guarded_wrapper if found.wrapper else guarded
            asking = guard(owner, found.hook, getattr(owner.plugin, found.method), self._tell)
            guards[found.hook] = hookimpl(asking, wrapper=found.wrapper)
        self._manager.register(_Guards(guards), name=owner.name)

    def _tell(self, hook: str, plugin: str) -> None:
        if not hasattr(self._local, "answered"):
            self._local.answered = {}
        self._local.answered[hook] = plugin


class _Guards:
    """One plugin's guarded hooks as attributes, for pluggy to find. Equal to nothing but itself."""

    def __init__(self, guards: Mapping[str, Any]) -> None:
        self.__dict__.update(guards)

"""A candidate's plans and binaries by signature: recorded and compiled when they are asked for, and kept.

Where cores are idle, or compiling takes long, what its next signature needs is begun beside the first (`early`).
Nothing runs here.
"""

from __future__ import annotations

from functools import partial

from tritonrl_core.bench.compile.effort import elements_a_thread
from tritonrl_core.bench.early import Early, Wish
from tritonrl_core.bench.prepare import Prepares, Ready, Recorded, Stop
from tritonrl_core.bench.record.ahead import Habit
from tritonrl_core.types import Candidate, InputCase, Task, content_key

Both = tuple[Recorded | Stop, Ready | Stop]


class Signatures:
    """One candidate's. Not safe to use from several threads: its program's lock is around it."""

    def __init__(self, task: Task, candidate: Candidate, preparation: Prepares, habit: Habit, early: Early) -> None:
        self._task, self._candidate = task, candidate
        self._preparation, self._habit, self._early = preparation, habit, early
        self._recorded: dict[str, Recorded | Stop] = {}
        self._prepared: dict[str, Ready | Stop] = {}
        self._wishes: dict[str, Wish[Both]] = {}

    def prepare(self, case: InputCase) -> Ready | Stop:
        """The plan and its binaries, or why there are none."""
        shared, own = _names(case)
        known = self._prepared.get(shared) or self._prepared.get(own)
        if known is None:
            begun = self._begun_early(case)
            known = begun[1] if begun else self._build(case)
            self._prepared[own if isinstance(known, Ready) and known.for_one_case else shared] = known
        return known

    def ready(self, case: InputCase) -> Ready | None:
        """The plan and its binaries where they are there already, for all cases of this signature."""
        known = self._prepared.get(_names(case)[0])
        return known if isinstance(known, Ready) else None

    def record(self, case: InputCase) -> Recorded | Stop:
        """The plan alone, or why there is none."""
        shared, own = _names(case)
        known = self._recorded.get(shared) or self._recorded.get(own)
        if known is None and (begun := self._begun_early(case)):
            known = self._recorded[shared] = begun[0]
        if known is None:
            after = self._habit.after(self._task, case)
            ahead = [item for item in after if content_key(item.signature) not in self._recorded]
            known = self._preparation.record(self._task, self._candidate, case, ahead)
            self._recorded[own if isinstance(known, Recorded) and known.for_one_case else shared] = known
        return known

    def _build(self, case: InputCase) -> Ready | Stop:
        recorded = self.record(case)
        if isinstance(recorded, Stop):
            return recorded
        with self._early.asked():
            if not recorded.for_one_case:
                self._wish_after(case, recorded)
            return self._preparation.build(recorded)

    def _wish_after(self, case: InputCase, recorded: Recorded) -> None:
        """Wish for the signatures that will be asked for after this one: their kernels are about as much work."""
        effort = elements_a_thread(recorded.plan.kernels)
        for other in self._habit.after(self._task, case):
            name = content_key(other.signature)
            if name not in self._wishes and name not in self._prepared:
                both = partial(_both, self._preparation, self._task, self._candidate, other)
                self._wishes[name] = self._early.wish(both, effort)

    def _begun_early(self, case: InputCase) -> Both | None:
        """What was begun early for a case's signature; None where that is nothing, or good for another case only."""
        wish = self._wishes.get(content_key(case.signature))
        found = self._early.take(wish) if wish else None
        return None if found and isinstance(found[0], Recorded) and found[0].for_one_case else found


def _both(preparation: Prepares, task: Task, candidate: Candidate, case: InputCase) -> Both:
    """The plan and its binaries. It holds nothing of the program, which when it is let go of takes its wishes along."""
    recorded = preparation.record(task, candidate, case)
    return recorded, recorded if isinstance(recorded, Stop) else preparation.build(recorded)


def _names(case: InputCase) -> tuple[str, str]:
    """The key of all cases of a signature, and a case's own."""
    return content_key(case.signature), content_key(case.signature, case.distribution, case.seed)

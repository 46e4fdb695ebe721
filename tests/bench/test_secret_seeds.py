"""Inputs that no candidate can know: the same cases in every process, with other values."""

from tritonrl_core.bench.references.secret_seeds import VARIABLE, own_secret, with_secret_seeds
from tritonrl_core.tasks.cases import make_cases
from tritonrl_core.tasks.suite import builtin_tasks
from tritonrl_core.types import CaseRequest

REQUEST = CaseRequest(count=5, shapes=True, values=True, layouts=True)


def test_only_the_seeds_are_others():
    task = builtin_tasks()[0]
    plain, secret = make_cases(task, REQUEST), with_secret_seeds(make_cases, "a")(task, REQUEST)
    assert [(c.name, c.signature, c.distribution) for c in plain] == [
        (c.name, c.signature, c.distribution) for c in secret
    ]
    assert not {case.seed for case in plain} & {case.seed for case in secret}


def test_the_task_as_written_is_the_same_case_whoever_asks():
    task, cases = builtin_tasks()[0], with_secret_seeds(make_cases, "a")
    assert cases(task, CaseRequest(count=1))[0] in cases(task, REQUEST)


def test_another_secret_is_another_seed():
    task = builtin_tasks()[0]
    one, other = (with_secret_seeds(make_cases, secret)(task, REQUEST) for secret in ("a", "b"))
    assert not {case.seed for case in one} & {case.seed for case in other}


def test_the_environment_may_name_the_secret(monkeypatch):
    monkeypatch.setenv(VARIABLE, "the same again")
    own_secret.cache_clear()
    assert own_secret() == "the same again"
    monkeypatch.delenv(VARIABLE)
    own_secret.cache_clear()
    assert len(own_secret()) == 32
    own_secret.cache_clear()

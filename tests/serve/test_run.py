"""Whether to listen: beyond loopback only with a token and a sandbox; and the store is of one verification."""

from __future__ import annotations

import pytest

from tritonrl_core.errors import UsageError
from tritonrl_core.serve.run import Where, check_sandbox, check_token, listening, open_store

TOKEN = "0123456789abcdef"


def guard(where: Where, sandbox: str) -> None:
    check_token(where)
    check_sandbox(where, sandbox)


@pytest.mark.parametrize(
    ("where", "sandbox", "words"),
    [
        (Where("0.0.0.0"), "A: all", "no token"),
        (Where("10.0.0.1", token="short"), "A: all", "no token"),
        (Where("::", token=TOKEN), "none", "sandbox 'none'"),
        (Where("verifier.example", token=TOKEN), "C: landlock", "sandbox 'C"),
    ],
)
def test_it_does_not_listen_to_the_world_unguarded(where: Where, sandbox: str, words: str) -> None:
    with pytest.raises(UsageError) as refusal:
        guard(where, sandbox)
    assert words in refusal.value.message
    assert refusal.value.remedy


@pytest.mark.parametrize(
    ("where", "sandbox"),
    [
        (Where(), "none"),
        (Where("::1"), "none"),
        (Where("localhost"), "none"),
        (Where("0.0.0.0", token=TOKEN), "B: landlock"),
    ],
)
def test_it_listens_to_this_machine_and_to_the_world_when_guarded(where: Where, sandbox: str) -> None:
    guard(where, sandbox)


def test_a_store_of_another_verification_is_refused(tmp_path) -> None:
    folder = tmp_path / "store"
    one, other = {"name": "p", "seed": 0}, {"name": "p", "seed": 1}
    open_store(folder, one, {}).close()
    open_store(folder, one, {}).close()
    with pytest.raises(UsageError, match="another preset"):
        open_store(folder, other, {})


def test_a_folder_of_something_else_is_no_store(tmp_path) -> None:
    (tmp_path / "file").touch()
    for place in (tmp_path, tmp_path / "file"):
        with pytest.raises(UsageError, match="no service has kept verdicts in it"):
            open_store(place, {"name": "p"}, {})


def test_an_address_that_is_taken_or_not_ours_is_said_before_anything_is_opened() -> None:
    with listening(Where(port=0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(UsageError, match=f"port {port}: Address already in use\n") as taken:
            listening(Where(port=port))
        assert "--port" in taken.value.remedy
    listening(Where(port=port)).close()
    with pytest.raises(UsageError, match=r"cannot listen on no\.such\.host") as unknown:
        listening(Where("no.such.host"))
    assert "--host" in unknown.value.remedy


def test_an_address_is_written_as_a_client_wants_it() -> None:
    assert Where("::1", 8686).address == "http://[::1]:8686"
    assert Where("0.0.0.0", 80).address == "http://0.0.0.0:80"

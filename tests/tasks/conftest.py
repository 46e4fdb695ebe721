import pytest


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    """What is found out about tasks in a test stays in that test."""
    monkeypatch.setenv("TRITONRL_CACHE", str(tmp_path / "cache"))

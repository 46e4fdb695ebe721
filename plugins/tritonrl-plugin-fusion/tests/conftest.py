import pytest


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory):
    """What is found out about generated tasks is found out once for these tests, and stays in them."""
    patch = pytest.MonkeyPatch()
    patch.setenv("TRITONRL_CACHE", str(tmp_path_factory.mktemp("cache")))
    yield
    patch.undo()

"""What a model's name means: a bundled model, a folder, or a name on the hub."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tritonrl_core.errors import ModelError
from tritonrl_core.models import resolve_model


def install(folder, distribution, package, *, config=True):
    (folder / package / "model").mkdir(parents=True)
    (folder / package / "__init__.py").write_text("raise RuntimeError('a model is data; its package is never run')")
    if config:
        (folder / package / "model" / "config.json").write_text("{}")
    info = folder / f"{package}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[tritonrl.models]\n{package} = {package}\n")


def test_a_bundled_model_is_its_packages_folder(tmp_path, monkeypatch):
    install(tmp_path, "acme-model", "acme")
    monkeypatch.syspath_prepend(tmp_path)
    assert resolve_model("acme") == tmp_path / "acme" / "model"


def test_a_bundled_model_without_files_says_whose_fault_it_is(tmp_path, monkeypatch):
    install(tmp_path, "acme-model", "acme", config=False)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModelError, match=r"acme-model, which ships it, has no config\.json"):
        resolve_model("acme")


def test_a_folder_is_itself(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    assert resolve_model(str(tmp_path)) == tmp_path


def test_a_folder_without_a_model_is_refused(tmp_path):
    with pytest.raises(ModelError, match=r"has no config\.json") as caught:
        resolve_model(str(tmp_path))
    assert "save_pretrained" in caught.value.remedy


@pytest.mark.parametrize(
    "name", ["./nowhere", "../nowhere", "/nowhere/at/all", "runs/x/checkpoints", "~/no-such-model"]
)
def test_a_path_that_is_not_there_is_refused(name):
    with pytest.raises(ModelError, match="does not exist") as caught:
        resolve_model(name)
    assert caught.value.exit_code == 2
    assert caught.value.remedy


def test_the_projects_own_model_is_not_asked_for_at_the_hub(monkeypatch):
    monkeypatch.setattr("tritonrl_core.models.entry_points", lambda **_: [])
    with pytest.raises(ModelError, match="not installed") as caught:
        resolve_model("nano")
    assert caught.value.remedy == "pip install tritonrl-nano"


def test_a_file_is_no_model():
    with pytest.raises(ModelError, match="is a file"):
        resolve_model(str(Path(__file__)))


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """A hub that has one model, on this machine, and an empty cache. Its address may be changed."""
    from huggingface_hub import constants

    with ThreadingHTTPServer(("127.0.0.1", 0), OneModel) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{server.server_port}")
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
        yield lambda address: monkeypatch.setattr(constants, "ENDPOINT", address)
        server.shutdown()


class OneModel(BaseHTTPRequestHandler):
    def do_GET(self):
        there = self.path.startswith("/api/models/acme/large")
        self.send_response(200 if there else 404)
        if not there:
            self.send_header("X-Error-Code", "RepoNotFound")
        self.end_headers()
        self.wfile.write(b'{"id": "acme/large", "siblings": []}' if there else b"")

    def log_message(self, *_):
        pass


def test_a_name_that_the_hub_has_is_left_to_it(hub):
    assert resolve_model("acme/large") == "acme/large"


@pytest.mark.parametrize("name", ["acme/other", "no name of/the hub's"])
def test_a_name_that_the_hub_has_not_is_one_message(hub, name):
    with pytest.raises(ModelError, match="the hub has no model of this name, or keeps it private"):
        resolve_model(name)


def test_without_the_hub_what_was_fetched_before_serves(hub, tmp_path):
    hub("http://127.0.0.1:9")  # where nothing listens
    with pytest.raises(ModelError, match="acme/large: not in the hub's cache here, and the hub cannot be reached"):
        resolve_model("acme/large")
    repository = tmp_path / "models--acme--large"
    folder = repository / "snapshots" / "abc"
    folder.mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("abc")
    (folder / "config.json").write_text("{}")
    with pytest.raises(ModelError, match="not in the hub's cache"):
        resolve_model("acme/large")  # its weights are missing
    (folder / "model.safetensors").write_bytes(b"")
    assert resolve_model("acme/large") == folder


def test_a_name_that_is_nearly_bundled_gets_a_hint():
    with pytest.raises(ModelError, match="no model 'nanoo'") as caught:
        resolve_model("nanoo")
    assert "Did you mean 'nano'?" in caught.value.remedy

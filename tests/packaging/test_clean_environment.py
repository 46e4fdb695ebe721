"""What someone gets who installs the wheels of core, nano and fusion, and nothing else of ours, outside the repository.

Makes a virtual environment and fetches what the wheels need (torch among it): it takes minutes and needs the network.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tritonrl_core.runs import read_metrics, read_scores

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = (ROOT, ROOT / "plugins/tritonrl-nano", ROOT / "plugins/tritonrl-plugin-fusion")
TORCH = "torch==2.13.0"
"""As `make setup` installs it."""


def call(*command: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run in an environment that knows nothing of this one."""
    kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    settings = {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    return subprocess.run(command, cwd=cwd, env={**kept, **settings}, capture_output=True, text=True, check=False)


def succeeds(*command: str, cwd: Path) -> str:
    done = call(*command, cwd=cwd)
    assert done.returncode == 0, f"{command}\n{done.stdout[-2000:]}\n{done.stderr[-3000:]}"
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `bin/tritonrl` in it, of the three wheels."""
    folder = tmp_path_factory.mktemp("clean")
    for source in FOLDERS:
        build = [sys.executable, "-m", "build", "--no-isolation", "--wheel", "--outdir", str(folder / "dist")]
        succeeds(*build, str(source), cwd=folder)
    succeeds(sys.executable, "-m", "venv", str(folder), cwd=folder)
    pip = [str(folder / "bin/python"), "-m", "pip", "install", "--quiet", "-c", str(ROOT / "constraints.txt")]
    succeeds(*pip, TORCH, cwd=folder)
    succeeds(*pip, *map(str, sorted((folder / "dist").iterdir())), cwd=folder)
    return folder


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_it_trains(place: Path) -> None:
    tritonrl = str(place / "bin/tritonrl")
    listed = succeeds(tritonrl, "plugins", "list", cwd=place)
    assert "fusion" in listed
    train = [tritonrl, "train", "--preset", "fusion_data_only", "--no-eval", "--out", "run"]
    changes = ["train.grpo.max_steps=1", "train.grpo.per_device_train_batch_size=8"]
    succeeds(*train, *(part for change in changes for part in ("--set", change)), cwd=place)
    assert [row["step"] for row in read_metrics(place / "run")] == [1]
    assert len(list(read_scores(place / "run"))) == 8
    assert (place / "run/checkpoints/rl/final/model.safetensors").is_file()
    assert (place / "run/report.html").is_file()


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_a_plugin_that_is_missing_is_named_with_the_line_that_installs_it(place: Path) -> None:
    for preset, missing, plugin in (
        ("multi_input_only", "'multi_input' is not installed", "multi-input"),
        ("all_extensions", "are not installed", "multi-input"),
    ):
        done = call(str(place / "bin/tritonrl"), "train", "--preset", preset, cwd=place)
        assert done.returncode == 2
        assert missing in done.stderr
        assert re.search(rf"pip install .*tritonrl-plugin-{plugin}\b", done.stderr)
        assert "Traceback" not in done.stderr
        assert len(done.stderr.splitlines()) <= 3
    assert not (place / "runs").exists()

"""Loading the policy: weights where there are some, honest random ones where not, one clear message where neither."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

from tritonrl_core.errors import ModelError
from tritonrl_core.models import has_weights, resolve_model
from tritonrl_core.train.model import load_policy
from tritonrl_core.types import Task

TASK = Task(id="t", level=1, source="class Model: pass")


def weights(folder: Path) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in load_policy(folder).model.parameters()])


@pytest.fixture
def bare(tiny_policy: Path, tmp_path: Path) -> Path:
    """The tiny policy's folder without its weights."""
    folder = tmp_path / "bare"
    shutil.copytree(tiny_policy, folder, ignore=shutil.ignore_patterns("*.safetensors"))
    return folder


def test_saved_weights_are_loaded_silently(tiny_policy: Path, caplog: pytest.LogCaptureFixture) -> None:
    policy = load_policy(tiny_policy)
    assert has_weights(tiny_policy)
    assert not policy.chat
    assert str(policy.prompt(TASK)).startswith("<|task|>")
    assert "learned nothing" not in caplog.text


def test_without_weights_they_are_random_the_same_each_time_and_said_to_be(
    bare: Path, tiny_policy: Path, caplog: pytest.LogCaptureFixture
) -> None:
    torch.manual_seed(5)
    first, drawn = weights(bare), torch.rand(3)
    assert "have learned nothing" in caplog.text
    torch.manual_seed(5)
    assert torch.rand(3).equal(drawn)  # the caller's random numbers are left alone
    assert first.equal(weights(bare))
    assert not first.equal(weights(tiny_policy))


def test_the_bundled_model_loads() -> None:
    assert load_policy(resolve_model("nano")).tokenizer.eos_token_id is not None


def test_a_folder_that_is_no_model_is_one_message(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{ not json")
    with pytest.raises(ModelError, match=r"cannot load this model: .*\n.*save_pretrained"):
        load_policy(tmp_path)


def test_a_model_without_tokenizer_is_one_message(tiny_policy: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_policy, tmp_path / "m", ignore=shutil.ignore_patterns("tokenizer*"))
    with pytest.raises(ModelError, match="cannot load this model"):
        load_policy(tmp_path / "m")

"""No right kernel is refused: kernels of many styles, the golden set, Liger-Kernel's operators."""

import corpus
import pytest

from tritonrl_core.preset import load_preset
from tritonrl_core.types import Candidate
from tritonrl_core.verifier import Verifier

SETTINGS = ["verifier.device=cpu", "verifier.cpu_workers=2", "verifier.timeout_s=60"]
OURS = corpus.honest("cpu")


def complaints(pool: list[corpus.Specimen], **multi_input: object) -> list[str]:
    """What is wrong with the verdicts of all of them, judged at once."""
    preset = load_preset("all_extensions", SETTINGS).with_plugins(multi_input=multi_input)
    with Verifier(preset) as verifier:
        scores = verifier.verify_batch([(one.task, Candidate.from_code(one.code)) for one in pool])
    found = ((one.id, one.complaint(score)) for one, score in zip(pool, scores, strict=True))
    return [f"{name}: {complaint}" for name, complaint in found if complaint]


@pytest.fixture(scope="module")
def wrong() -> str:
    return "\n".join(complaints(OURS, num_tests=1))


def test_there_are_at_least_as_many_as_promised() -> None:
    everything = [*OURS, *corpus.twins(), *corpus.golden()]
    assert len(everything) >= 120
    assert len({one.id for one in everything}) == len(everything)
    assert all(one.honest for one in everything)


@pytest.mark.parametrize("kernel", OURS, ids=lambda one: one.name)
def test_a_right_kernel_is_not_refused(wrong: str, kernel: corpus.Specimen) -> None:
    assert f"{kernel.id}:" not in wrong, wrong


@pytest.mark.slow
@pytest.mark.timeout(3000)
@pytest.mark.parametrize("seed", [11, 12])
def test_nor_is_any_with_all_extensions_on_fresh_inputs(seed: int) -> None:
    assert complaints([*OURS, *corpus.golden()], seed=seed) == []


@pytest.mark.slow
@pytest.mark.timeout(3000)
def test_nor_is_any_of_liger_kernels() -> None:
    pool = corpus.liger()
    if not pool:
        pytest.skip("liger-kernel is not installed")
    assert complaints(pool, num_tests=2, layouts=False, values=False) == []

"""A candidate sees the names that it imports, and none of ours."""

from bench_samples import GOOD

from tritonrl_core.types import Status


def test_a_kernel_without_its_import_of_the_language_fails(judge):
    result = judge(GOOD.replace("import triton.language as tl\n", ""))
    assert result.status in (Status.RUNTIME_ERROR, Status.BUILD_ERROR), result.reason
    assert "tl" in result.reason

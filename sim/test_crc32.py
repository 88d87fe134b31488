"""Starts the bench of edt_crc32."""

import pytest
from bench import build, lint, mutate, rejects, rtl, simulate
from needs import needs


def test_equals_zlib():
    needs("verilator")
    simulate("crc32_bench", "edt_crc32", build("edt_crc32", rtl("edt_crc32")))


@pytest.mark.parametrize(
    "old, new",
    [("32'hEDB88320", "32'hEDB88321"), ("i < 8", "i < 7"), ("~crc_q;", "crc_q;"), ("hDEBB20E3", "hDEBB20E2")],
)
def test_the_bench_rejects_a_fault(old, new):
    needs("verilator")
    assert rejects("crc32_bench", "edt_crc32", mutate(rtl("edt_crc32"), old, new))


def test_lint_is_clean():
    needs("verilator")
    assert lint("edt_crc32", rtl("edt_crc32")) == ""

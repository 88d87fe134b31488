"""Builds are kept: what holds of them whatever they simulate."""

from pathlib import Path

import pytest
from bench import build, rtl, simulate
from cocotb_tools.config import libs_dir
from needs import needs


def test_a_kept_build_outlives_the_environment_that_made_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    needs("verilator")
    monkeypatch.setenv("EDGENDT_CACHE", str(tmp_path / "cache"))
    gone = tmp_path / "libs"
    gone.symlink_to(libs_dir)
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr("cocotb_tools.config.libs_dir", gone)
        built = build("edt_crc32", rtl("edt_crc32"))
    gone.unlink()
    simulate("crc32_bench", "edt_crc32", built)

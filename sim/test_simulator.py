"""Builds are kept: what holds of them whatever they simulate."""

from pathlib import Path

import pytest
from bench import build, rtl, simulate
from cocotb_tools.config import libs_dir
from needs import needs

from edgendt.sim.compiled import build_library


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


def test_a_build_is_of_its_versions_of_simulator_and_cocotb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another version of either finds another folder, which is asked for by its name alone: nothing is built."""
    needs("verilator")
    asked: list[str] = []

    def named(_: str, name: str) -> Path:
        asked.append(name)
        (tmp_path / name).mkdir(exist_ok=True)
        (tmp_path / name / "built").touch()
        return tmp_path / name

    monkeypatch.setattr("edgendt.sim.simulator.cache_folder", lambda *parts: named(*parts) if parts[1:] else tmp_path)
    for patched in (None, "edgendt.sim.simulator.version", "edgendt.sim.simulator.package_version", None):
        with monkeypatch.context() as other:
            if patched is not None:
                other.setattr(patched, lambda *_: "another")
            build("edt_crc32", rtl("edt_crc32"))
    first, simulator, cocotb, again = asked
    assert again == first and len({first, simulator, cocotb}) == 3


def test_a_library_is_of_its_version_of_verilator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    needs("verilator")
    monkeypatch.setenv("EDGENDT_CACHE", str(tmp_path))
    monkeypatch.setattr("edgendt.sim.compiled._compile", lambda *_: None)
    sources = rtl("edt_crc32")
    first = build_library("edt_crc32", sources, sources[0], {}, {})
    monkeypatch.setattr("edgendt.sim.compiled.version", lambda _: "another")
    assert build_library("edt_crc32", sources, sources[0], {}, {}) != first

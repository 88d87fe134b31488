"""The numbers on the op pages are what the ops compute."""

from __future__ import annotations

import doctest
from pathlib import Path

import pytest
from needs import ROOT
from test_architecture import ENGINE

PAGES = sorted((ROOT / "docs" / "ops").glob("*.md"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_example_on_the_page_is_true(page: Path) -> None:
    result = doctest.testfile(str(page), module_relative=False)
    assert result.attempted >= 4 and result.failed == 0


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_page_names_its_siblings(page: Path) -> None:
    text = page.read_text()
    kind = page.stem
    bench = (f"sim/test_{kind}.py",) if kind in ENGINE else ()
    for path in (f"edgendt/ops/{kind}.py", f"edgendt/qat/{kind}.py", f"hls/cpp/edt_{kind}.h", *bench):
        assert f"`{path}`" in text

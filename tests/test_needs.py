"""What is absent skips on a user's machine and fails in CI."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from needs import needs, needs_package

ABSENT: list[tuple[Callable[[str], Any], str]] = [(needs, "no-such-tool"), (needs_package, "no_such_package")]


@pytest.mark.parametrize(("need", "name"), ABSENT)
@pytest.mark.parametrize(("ci", "outcome"), [("", pytest.skip.Exception), ("true", pytest.fail.Exception)])
def test_what_is_absent_skips_and_fails_in_ci(
    need: Callable[[str], Any], name: str, ci: str, outcome: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI", ci)
    with pytest.raises(outcome, match=f"{name} is not installed"):
        need(name)


def test_what_is_there_is_given() -> None:
    assert needs_package("pytest") is pytest

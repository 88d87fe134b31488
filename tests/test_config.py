"""Config: defaults, TOML, overrides, one sentence per error."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from edgendt.config import dump_config, keys, load_config, sections
from edgendt.errors import BadInput


@dataclass(frozen=True)
class Inner:
    steps: int = 10
    rate: float = 0.5


@dataclass(frozen=True)
class Outer:
    name: str = "a"
    bits: dict[str, int] = field(default_factory=dict)
    sizes: tuple[int, ...] = (1, 2)
    limit: int | None = None
    inner: Inner = Inner()


def test_overrides_win_over_the_file_and_the_file_over_defaults(tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_text('name = "b"\n[inner]\nsteps = 3\nrate = 1\n')
    config = load_config(Outer, path, ["inner.steps=7", "bits.layer0=8", "name=plain words"])
    assert config == Outer("plain words", {"layer0": 8}, inner=Inner(7, 1.0))


def test_a_dumped_config_reads_back_equal(tmp_path: Path) -> None:
    config = Outer("x", {"a.b": 3}, (4,), None, Inner(1, 2.0))
    (tmp_path / "c.toml").write_text(dump_config(config))
    assert load_config(Outer, tmp_path / "c.toml") == config


@pytest.mark.parametrize(
    "override,said",
    [
        ("inner.stepz=1", "inner.stepz in options is not an option: known are steps, rate"),
        ("inner.steps=many", "inner.steps in options"),
        ("inner=3", "inner in options"),
        ("nonsense", "must be key=value"),
        ("name.x.y=3", "name"),
    ],
)
def test_a_wrong_option_is_named(override: str, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        load_config(Outer, None, [override])


@dataclass(frozen=True)
class Checked:
    bits: int = 4

    def __post_init__(self) -> None:
        if self.bits > 8:
            raise ValueError(f"bits must be at most 8, got {self.bits}")


def test_what_a_config_says_of_itself_is_said_once() -> None:
    with pytest.raises(BadInput) as caught:
        load_config(Checked, None, ["bits=9"])
    assert str(caught.value) == "value in options: bits must be at most 8, got 9"


def test_values_are_taken_as_they_are() -> None:
    config = load_config(Outer, None, ["name=a", "inner.steps=3"], {"name": '😀 "b" = [c]', "inner.steps": 4})
    assert config == Outer('😀 "b" = [c]', inner=Inner(4))
    with pytest.raises(BadInput, match=r"inner\.rate in options"):
        load_config(Outer, None, [], {"inner.rate": "fast"})


@pytest.mark.parametrize("text", ["a = ", "\x00"])
def test_a_damaged_file_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "c.toml").write_text(text)
    with pytest.raises(BadInput, match=r"c\.toml"):
        load_config(Outer, tmp_path / "c.toml")
    with pytest.raises(BadInput, match="does not exist"):
        load_config(Outer, tmp_path / "none.toml")


@dataclass(frozen=True)
class Optional:
    """Has a section that may be missing."""

    inner: Inner | None = None


def test_keys_are_those_of_every_section_with_their_defaults() -> None:
    assert {one["key"]: (one["default"], one["type"]) for one in keys(Outer)} == {
        "name": ("a", "str"),
        "bits": ({}, "dict[str, int]"),
        "sizes": ((1, 2), "tuple[int, ...]"),
        "limit": (None, "int | None"),
        "inner.steps": (10, "int"),
        "inner.rate": (0.5, "float"),
    }
    assert [one["key"] for one in keys(Optional)] == ["inner.steps", "inner.rate"]
    assert sections(Optional)[""] == "Has a section that may be missing." and list(sections(Optional)) == ["", "inner"]

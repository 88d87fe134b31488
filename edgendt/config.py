"""TOML and key=value to frozen dataclasses, checked, with one sentence per error."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, asdict, fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar, get_args, get_type_hints

import tomli_w
from pydantic import TypeAdapter, ValidationError

from edgendt.errors import BadInput

T = TypeVar("T")


def load_config(
    cls: type[T],
    path: Path | str | None = None,
    overrides: Sequence[str] = (),
    values: Mapping[str, Any] | None = None,
) -> T:
    """A config dataclass from defaults, then a TOML file, then `section.key=value` overrides, then `values` by key.

    Values of overrides are TOML (`0.5`, `true`, `[1, 2]`), plain words are strings. BadInput names file and key.
    """
    data = {} if path is None else read_toml(Path(path))
    where = "options" if path is None else str(path)
    for override in overrides:
        key, sign, text = override.partition("=")
        if not sign or not key:
            raise BadInput(f"option {override!r} must be key=value")
        _put(data, key.strip().split("."), _value(text))
    for key, value in (values or {}).items():
        _put(data, key.split("."), value)
    return make(cls, data, where)


def read_toml(path: Path) -> dict[str, Any]:
    """The file's tables; BadInput when it is missing or is not TOML."""
    try:
        return tomllib.loads(path.read_text())
    except FileNotFoundError as error:
        raise BadInput(f"config {path} does not exist") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise BadInput(f"config {path} cannot be read: {error}") from error


def make(cls: type[T], data: Mapping[str, Any], where: str) -> T:
    """A checked instance of `cls`; BadInput names `where` and the key."""
    _refuse_unknown(cls, data, where, "")
    try:
        return TypeAdapter(cls).validate_python(dict(data))
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"])) or "value"
        own = first.get("ctx", {}).get("error")  # what __post_init__ raised says itself what it got
        said = own or f"{first['msg']}, got {first.get('input')!r}"
        raise BadInput(f"{key} in {where}: {said}") from error


def dump_config(config: Any) -> str:
    """TOML text that `load_config` reads back to an equal config; None values are left out."""
    return tomli_w.dumps(_without_none(asdict(config)))


def keys(cls: type, prefix: str = "") -> list[dict[str, Any]]:
    """Every key that an override may set, in order: {"key", "type", "default"}."""
    found = list[dict[str, Any]]()
    for one in fields(cls):
        key = f"{prefix}{one.name}"
        if section := _section(cls, one.name):
            found += keys(section, f"{key}.")
        else:
            default = one.default if one.default_factory is MISSING else one.default_factory()
            found.append({"key": key, "type": getattr(one.type, "__name__", one.type), "default": default})
    return found


def sections(cls: type) -> dict[str, str]:
    """What is said of `cls` itself, as "", and of each of its sections."""
    own = {one.name: section for one in fields(cls) if (section := _section(cls, one.name))}
    return {name: " ".join((one.__doc__ or "").split()) for name, one in {"": cls, **own}.items()}


def _section(cls: type, name: str) -> Any:
    """The dataclass of a field, alone or as what it may be; None for a plain value."""
    kind = get_type_hints(cls)[name]
    return next((part for part in (kind, *get_args(kind)) if is_dataclass(part)), None)


def _without_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_none(item) for key, item in value.items() if item is not None}
    return [_without_none(item) for item in value] if isinstance(value, list | tuple) else value


def _refuse_unknown(cls: Any, data: Mapping[str, Any], where: str, prefix: str) -> None:
    known = [field.name for field in fields(cls)]
    for key, value in data.items():
        if key not in known:
            raise BadInput(f"{prefix}{key} in {where} is not an option: known are {', '.join(known)}")
        section = _section(cls, key)
        if section is not None and isinstance(value, Mapping):
            _refuse_unknown(section, value, where, f"{prefix}{key}.")


def _put(data: dict[str, Any], keys: list[str], value: Any) -> None:
    for key in keys[:-1]:
        data = data.setdefault(key, {})
        if not isinstance(data, dict):
            raise BadInput(f"option {'.'.join(keys)}: {key} is not a section")
    data[keys[-1]] = value


def _value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text

"""Our own ONNX domain: ops as nodes whose attributes are the fields of the op. No torch here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, fields
from typing import Any, get_args

from edgendt.fixed import Int
from edgendt.ops import (
    GEGLU,
    Attention,
    CrossAttention,
    LayerNorm,
    Lookup,
    Rotary,
    SpatialMix,
    SpatialWeights,
    Table,
    Transpose,
)

DOMAIN = "edgendt"
VERSION = 1
FURTHEST_FRAC = 64  # beyond it no format is meant, and constants derived from it would not end
Own = LayerNorm | Attention | Rotary | SpatialWeights | SpatialMix | Lookup | GEGLU | CrossAttention | Transpose | Table
OWN: dict[str, type[Own]] = {op.__name__: op for op in get_args(Own)}
LISTS = {"steps"}  # attributes that are lists of integers


def format_fields(kind: str) -> tuple[str, ...]:
    """The op's fields that are formats."""
    return tuple(field.name for field in fields(OWN[kind]) if field.type == "Int")


def defaults(kind: str) -> dict[str, int]:
    """Attributes that a node may lack, as files written before the field was there do."""
    return {field.name: int(field.default) for field in fields(OWN[kind]) if field.default is not MISSING}


def attributes(op: Own) -> dict[str, int | Sequence[int]]:
    """The op's fields as integer attributes; a format `x` becomes x_bits, x_frac and x_signed."""
    flat: dict[str, int | Sequence[int]] = {}
    for field in fields(op):
        value = getattr(op, field.name)
        if isinstance(value, Int):
            flat |= {f"{field.name}_{key}": int(getattr(value, key)) for key in ("bits", "frac", "signed")}
        else:
            flat[field.name] = value if field.name in LISTS else int(value)
    return flat


def attribute_names(kind: str) -> tuple[str, ...]:
    """Every attribute a node of that kind has."""
    names: list[str] = []
    for field in fields(OWN[kind]):
        of_format = field.name in format_fields(kind)
        names += [f"{field.name}_{key}" for key in ("bits", "frac", "signed")] if of_format else [field.name]
    return tuple(names)


def op_of(kind: str, values: Mapping[str, Any]) -> Own:
    """The op whose `attributes` these are. ValueError when one is missing or out of range."""
    values = defaults(kind) | dict(values)
    if unknown := set(values) - set(attribute_names(kind)):
        raise ValueError(f"attribute {min(unknown)} is none of a {kind}")
    for name in attribute_names(kind):
        if name not in values:
            raise ValueError(f"attribute {name} is missing")
        if name not in LISTS and not isinstance(values[name], int):
            raise ValueError(f"{name} must be an integer, got {values[name]!r}")
    kept: dict[str, Any] = {}
    for field in fields(OWN[kind]):
        if field.name in format_fields(kind):
            bits, frac, signed = (values[f"{field.name}_{key}"] for key in ("bits", "frac", "signed"))
            if abs(frac) > FURTHEST_FRAC:
                raise ValueError(f"{field.name}_frac must be -{FURTHEST_FRAC}..{FURTHEST_FRAC}, got {frac}")
            kept[field.name] = Int(bits, frac, _truth(f"{field.name}_signed", signed))
        else:
            value = values[field.name]
            if field.name in LISTS:
                value = _integers(field.name, value)
            kept[field.name] = _truth(field.name, value) if field.type == "bool" else value
    return OWN[kind](**kept)


def _truth(name: str, value: int) -> bool:
    """0 or 1 as a truth value; ValueError for another number, with which a node's body would compute."""
    if value not in (0, 1):
        raise ValueError(f"{name} must be 0 or 1, got {value}")
    return bool(value)


def _integers(name: str, value: Any) -> tuple[int, ...]:
    """A list of integers; ValueError for anything else."""
    if not isinstance(value, Sequence) or not all(isinstance(item, int) for item in value):
        raise ValueError(f"{name} must be a list of integers, got {value!r}")
    return tuple(value)

"""The text of docs/accuracy.md from the cells that examples/accuracy.py made."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from edgendt.artifact import read_json


def page(folder: Path, names: list[str], variants: tuple[str, ...]) -> str:
    return ""

"""An engine: the sizes that one bitstream is built with. Everything else about a network is data in its memories."""

from __future__ import annotations

import dataclasses
import tomllib
from dataclasses import dataclass
from pathlib import Path

from edgendt.errors import BadInput


def _power(value: int) -> bool:
    return value > 0 and value & (value - 1) == 0


@dataclass(frozen=True)
class Engine:
    """Array, pipes and memory depths of one engine build.

    segments x lanes multipliers; pipes narrowing pipes; sfus special-function units; depths in the words that the
    memory map of docs/engine.md gives; packed: a lane takes two 4-bit weights at once; splits: most groups of segments
    that may share one reduction; serial: the smallest core, which does one product at a time (edt_serial); rotary: the
    units turn queries and keys by time; windows: it also runs networks of whole windows; tokens: and of windows of
    tokens; key_size: most channels of a key; ultra: a segment's weights and cache are one memory, for parts with
    UltraRAM.
    """

    segments: int = 4
    lanes: int = 8
    pipes: int = 4
    sfus: int = 1
    acc_bits: int = 24
    weight_depth: int = 4096
    kv_depth: int = 512
    bias_depth: int = 512
    act_depth: int = 1024
    res_depth: int = 128
    pos_depth: int = 2048
    score_depth: int = 128
    gamma_depth: int = 512
    prog_depth: int = 128
    packed: int = 0
    splits: int = 1
    serial: int = 0
    rotary: int = 0
    windows: int = 0
    tokens: int = 0
    key_size: int = 256
    ultra: int = 0

    def __post_init__(self) -> None:
        rules = (
            ("segments", _power(self.segments), "a power of two"),
            ("pipes", _power(self.pipes) and 2 <= self.pipes <= 16, "2, 4, 8 or 16"),
            ("sfus", _power(self.sfus) and self.sfus <= self.pipes, "a power of two, at most pipes"),
            ("lanes", 4 <= self.lane_count <= 1024 and self.lane_count % 4 == 0, "4..1024 in all, a multiple of 4"),
            ("lanes", self.lane_count % self.pipes == 0 and self.words <= 256, "a multiple of pipes in all, <= 256 x"),
            ("acc_bits", 24 <= self.acc_bits <= 28, "24..28"),
            ("weight_depth", 16 <= self.weight_depth <= 1 << 20, "16..2^20"),
            ("kv_depth", 16 <= self.kv_depth <= 1 << 18, "16..2^18"),
            ("act_depth", 256 // self.pipes <= self.act_depth <= 1 << 13, "256 / pipes..8192"),
            ("prog_depth", 4 <= self.prog_depth <= 1024, "4..1024"),
            ("packed", self.packed in (0, 1), "0 or 1"),
            ("packed", not self.packed or self.words <= 128, "0 with more than 128 x pipes lanes"),
            ("splits", self.splits in (1, 2, 4, 8), "1, 2, 4 or 8"),
            ("splits", self.splits <= min(self.segments, self.pipes), "at most segments and pipes"),
            ("splits", self.words % self.splits == 0, "a divisor of lanes / pipes"),
            ("serial", self.serial in (0, 1), "0 or 1"),
            ("serial", not self.serial or self._least, "0 but for 1 x 4 lanes, 2 pipes, 1 unit, plain"),
            ("rotary", self.rotary in (0, 1), "0 or 1"),
            ("windows", self.windows in (0, 1), "0 or 1"),
            ("tokens", self.tokens in (0, 1), "0 or 1"),
            ("tokens", not self.tokens or (self.windows and self.rotary), "0 without windows and rotary"),
            ("sfus", not self.tokens or 2 * self.sfus <= self.pipes, "at most half of the pipes with tokens"),
            ("key_size", self.key_size in (256, 512), "256 or 512"),
            ("key_size", self.key_size == 256 or self.tokens, "256 without tokens"),
            ("ultra", self.ultra in (0, 1), "0 or 1"),
            ("ultra", not self.ultra or self.lanes % 4 == 0, "0 but for segments of whole words of 4 lanes"),
        )
        for name, good, rule in rules:
            if not good:
                raise ValueError(f"{name} must be {rule}, got {getattr(self, name)}")
        for name in ("bias_depth", "res_depth", "pos_depth", "score_depth", "gamma_depth"):
            if not 2 <= getattr(self, name) <= 1 << 13:
                raise ValueError(f"{name} must be 2..8192, got {getattr(self, name)}")
        if (self.lane_count // 4 - 1).bit_length() + (self.weight_depth - 1).bit_length() > 24:
            raise ValueError(f"weight_depth must leave lanes x depth within 2^26 weights, got {self.weight_depth}")

    @property
    def _least(self) -> bool:
        extras = (self.packed, self.splits, self.rotary, self.windows)
        return (self.segments, self.lanes, self.pipes, self.sfus) == (1, 4, 2, 1) and extras == (0, 1, 0, 0)

    @property
    def lane_count(self) -> int:
        """Lanes of the array: its multipliers, but for the serial core, which has one for all."""
        return self.segments * self.lanes

    @property
    def products(self) -> int:
        """Products per cycle."""
        return 1 if self.serial else self.lane_count

    @property
    def words(self) -> int:
        """Accumulator words: drain steps of a full tile."""
        return self.lane_count // self.pipes

    @property
    def folds(self) -> bool:
        """A tile of a Linear need not be the array: KV rows start at any word, barriers may be late (Folds)."""
        return bool(self.packed) or self.splits > 1 or bool(self.rotary)

    def parameters(self) -> dict[str, int]:
        """SystemVerilog parameters of edt_core and edt_engine; those of OPTIONS only where they are set."""
        values = {PARAMETERS[field.name]: getattr(self, field.name) for field in dataclasses.fields(self)}
        return {name: value for name, value in values.items() if value != OPTIONS.get(name)}

    @classmethod
    def named(cls, name: str | Path) -> Engine:
        """A name in ENGINES or the path of a TOML file with these fields; BadInput otherwise."""
        if str(name) in ENGINES:
            return ENGINES[str(name)]
        path = Path(name)
        known = sorted(field.name for field in dataclasses.fields(cls))
        fields = f"known are {', '.join(known)}"
        try:
            values = tomllib.loads(path.read_text())
            values = values.get("engine", values)
            if not isinstance(values, dict):
                raise ValueError(f"`engine` must be a table: a line [engine], then such as segments = 4; {fields}")
            if unknown := set(values).difference(known):
                raise ValueError(f"unknown field {min(unknown)!r}, {fields}")
            if any(type(value) is not int for value in values.values()):
                raise ValueError("every field must be an integer")
            return cls(**values)
        except OSError as error:
            why = "no such file" if isinstance(error, FileNotFoundError) else error.strerror
            raise BadInput(f"engine must be {', '.join(ENGINES)} or a TOML file, got {name} ({why})") from None
        except ValueError as error:  # of TOML's syntax, too
            raise BadInput(f"engine {name}: {error}") from None


PARAMETERS = {
    "segments": "Segments",
    "lanes": "Lanes",
    "pipes": "Pipes",
    "sfus": "Sfus",
    "acc_bits": "AccBits",
    "weight_depth": "WgtDepth",
    "kv_depth": "KvDepth",
    "bias_depth": "BiasDepth",
    "act_depth": "ActDepth",
    "res_depth": "ResDepth",
    "pos_depth": "PosDepth",
    "score_depth": "ScoreDepth",
    "gamma_depth": "GammaDepth",
    "prog_depth": "ProgDepth",
    "packed": "Packed",
    "splits": "Splits",
    "serial": "Serial",
    "rotary": "Rotary",
    "windows": "Windows",
    "tokens": "Tokens",
    "key_size": "KeySize",
    "ultra": "Ultra",
}
# an engine without them has the name it had before them
OPTIONS = {"Serial": 0, "Rotary": 0, "Windows": 0, "Tokens": 0, "KeySize": 256, "Ultra": 0}

ENGINES = {
    "tiny": Engine(  # an iCE40 UP5K's blocks, or a GW2A-18's
        segments=1,
        lanes=4,
        pipes=2,
        weight_depth=8192,
        kv_depth=2048,
        bias_depth=128,
        act_depth=256,
        res_depth=128,
        pos_depth=6144,
        score_depth=128,
        gamma_depth=256,
        prog_depth=64,
        serial=1,
    ),
    "compact": Engine(  # the default network in 46 blocks of 18 kbit
        segments=1,
        pipes=4,
        weight_depth=6144,
        kv_depth=1024,
        act_depth=128,
        res_depth=32,
        pos_depth=512,
        score_depth=32,
        prog_depth=32,
        packed=1,
    ),
    "small": Engine(),
    "full": Engine(
        segments=16,
        lanes=8,
        pipes=8,
        sfus=2,
        weight_depth=2048,
        kv_depth=512,
        act_depth=512,
        bias_depth=512,
        res_depth=32,
        pos_depth=2048,
        score_depth=32,
        gamma_depth=640,
        prog_depth=256,
        packed=1,
        splits=4,
    ),
    "large": Engine(  # ZCU104; holds reference network M
        segments=32,
        lanes=8,
        pipes=16,
        sfus=8,
        weight_depth=2048,
        kv_depth=1536,
        bias_depth=512,
        act_depth=256,
        res_depth=32,
        pos_depth=2560,
        score_depth=32,
        gamma_depth=256,
        prog_depth=128,
        packed=1,
        splits=8,
    ),
    "streaming": Engine(rotary=1),  # small, for networks without a last bin
    "window": Engine(  # small and packed, for whole windows: NDT and STNDT of the synthetic sets, up to 100 bins
        weight_depth=3072,
        kv_depth=1024,
        act_depth=8192,
        res_depth=4096,
        gamma_depth=1024,
        packed=1,
        windows=1,
    ),
    "tokens": Engine(  # ULX3S-85F; a POYO of the preset `compact` over windows of 576 tokens
        sfus=2,
        acc_bits=28,
        weight_depth=5120,
        kv_depth=2560,
        bias_depth=1024,
        act_depth=2048,
        res_depth=1536,
        pos_depth=4096,
        score_depth=256,
        packed=1,
        splits=2,
        rotary=1,
        windows=1,
        tokens=1,
    ),
    "tokens-large": Engine(  # ZCU104; a POYO of the preset `small` over windows of a thousand tokens and more
        segments=8,
        pipes=8,
        sfus=4,
        acc_bits=28,
        weight_depth=3584,
        kv_depth=5120,
        bias_depth=1024,
        act_depth=1024,
        res_depth=1024,
        pos_depth=2048,
        score_depth=256,
        gamma_depth=256,
        packed=1,
        splits=4,
        rotary=1,
        windows=1,
        tokens=1,
    ),
    "kria": Engine(  # KV260; the STNDT of MC_Maze, the POYO preset `1.3m` over 2,047 tokens
        segments=32,
        pipes=16,
        sfus=8,
        acc_bits=28,
        weight_depth=4096,
        kv_depth=4096,
        bias_depth=1024,
        act_depth=8192,
        res_depth=5120,
        pos_depth=3072,
        score_depth=128,
        gamma_depth=512,
        prog_depth=512,
        packed=1,
        splits=8,
        rotary=1,
        windows=1,
        tokens=1,
        key_size=512,
        ultra=1,
    ),
    "kria-window": Engine(  # KV260; the STNDT of MC_Maze whose first tokens are those of the public code
        segments=32,
        pipes=16,
        sfus=8,
        acc_bits=28,
        weight_depth=4096,
        kv_depth=4096,
        bias_depth=1024,
        act_depth=8192,
        res_depth=4608,
        pos_depth=4608,
        score_depth=128,
        gamma_depth=512,
        prog_depth=512,
        packed=1,
        splits=8,
        windows=1,
        ultra=1,
    ),
    "kria-wide": Engine(  # KV260, bin by bin: reference network M over 341 position rows
        segments=32,
        lanes=16,
        pipes=16,
        sfus=8,
        weight_depth=2048,
        kv_depth=2048,
        act_depth=512,
        res_depth=32,
        pos_depth=4096,
        score_depth=32,
        prog_depth=256,
        packed=1,
        splits=8,
        ultra=1,
    ),
}

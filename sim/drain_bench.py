"""edt_drain: every step of every tile of random passes, in its cycle, with all its addresses, for the four modes.

Tiles end at random as soon as the unit allows it (pend_o), so that one drains while the next is announced; value beats
are let through at random, and once held up for longer than any pass lasts. Packed and split units have tiles of other
lengths, and rows that turn around within a tile.
"""

import random
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import cocotb
from bench import case, cycles
from cocotb.clock import Clock
from cocotb.triggers import Timer
from control import BEAT_BITS, NARROW_BITS, VALUE, configuration, description, instruction, unpacked

NARROW, SCORE, VALUES, GATHER = range(4)  # modes
FIRST_STEP = 6  # cycles after the end of its tile
RELEASE = 7  # steps before its last one a tile lets the next end, except where value beats may be held up
BASES = {"bias_base": 13, "dst_base": 13, "add_base": 13, "kv_base": 18}
PASSED_ON = {"dst": 5, "add_res": 1, "stats": 1, "y1": 5, "y2": 5, "last_mask": 5, "dst_tag": 3, "tag_fin": 1}


@dataclass(frozen=True)
class Bin:
    """What stands still while passes run."""

    value_rows: int
    slot: int
    pos_off: int
    groups: int
    words: int  # of all lanes
    packed: int
    splits: int
    value_split: int  # log2 of the groups that share the keys of weighted values
    pipes: int
    windows: int
    res_stride: int
    older: int = 0  # rows that a gather takes before it turns to its ring's first one; 0: it does not turn
    blank: int = 0  # 1: none of them is written

    @property
    def row_words(self) -> int:
        """Words of each group that shares the keys."""
        return self.words >> self.value_split

    @property
    def group_words(self) -> int:
        return self.words // self.groups

    @property
    def folds(self) -> bool:
        return bool(self.packed) or self.splits > 1


@dataclass(frozen=True)
class Step:
    """One word of a tile; `narrow` and `beat` are records, complete but for a beat's own fields."""

    kept: bool
    last: bool
    bias: int
    group: int
    key_word: int
    narrow: dict[str, int]
    beat: dict[str, int]


@dataclass(frozen=True)
class Pass:
    """All tiles of an instruction."""

    fields: dict[str, int]
    pc: int
    tiles: int
    now: Bin

    def description(self, tile: int) -> int:
        return description(instruction(**self.fields), self.pc, tile == 0, tile == self.tiles - 1)

    @property
    def full(self) -> int:
        """Steps of every tile but the last."""
        return self.now.words * (1 + self.fields["paired"]) >> self.fields["split"]

    def row(self, tile: int, word: int) -> tuple[int, int]:
        """(row of lanes, cache rows passed) of a tile's word."""
        if not self.now.folds:
            return word, tile
        passed, row = divmod(self.fields["dst_base"] % 512 + tile * self.full + word, self.now.row_words)
        return row + self.now.slot % (1 << self.now.value_split) * self.now.row_words, passed

    def steps(self, tile: int, done: int, sfus: int) -> Iterator[Step]:
        """Steps of a tile; `done` words of the pass were kept before it."""
        f, now, last_tile = self.fields, self.now, tile == self.tiles - 1
        count, group_words = f["steps"] if last_tile else self.full, now.group_words >> f["split"]
        for flat in range(count):
            group, word = divmod(flat, group_words) if f["grouped"] else (0, flat)
            kept, last = not last_tile or word < f["words"], flat == count - 1
            gather = f["mode"] == GATHER
            add = f["add_base"] + (now.pos_off if f["add_pos"] and not gather else 0) + done
            unwritten = gather and now.blank and done < now.older
            if gather:  # one code of every bin's row
                turned = 0 < now.older <= done
                base = f["kv_base"] if turned else f["add_base"]
                add = base + now.slot // now.pipes + (done - turned * now.older) * now.res_stride
            at = done // now.pipes if gather else done  # words written before this one
            fin = int(last_tile and last and f["tag_fin"])
            row, passed = self.row(tile, flat)
            common = {"dst_addr": (f["dst_base"] + at) % (1 << 13), "tag": f["dst_tag"], "fin": fin, "pc": self.pc}
            narrow = common | {
                "valid": int(kept and f["mode"] in (NARROW, GATHER)),
                **{name: f[name] for name in ("dst", "add_pos", "stats", "y1", "y2", "kv_base")},
                "add_res": int(f["add_res"] and not unwritten),
                "last_mask": f["last_mask"],
                "first": int(at == 0),
                "last": int(last_tile and last),
                "add_addr": add % (1 << 13),
                "kv_addr": (f["kv_base"] + (now.slot >> now.value_split) + passed * now.value_rows) % (1 << 18),
                "flat": row,
                "row": done,
                "split": f["split"],
                "gather": int(gather),
                "pick": now.windows * (now.slot % now.pipes),
                "put": now.windows * (done % now.pipes),
            }
            beat = common | {
                "valid": 1,
                "op": VALUE,
                "group": group,
                "count": sfus,
                "gb_addr": f["add_base"],
                "res": 0,
                "kv": 0,
            }
            bias, key_word = (f["bias_base"] + (0 if gather else done)) % (1 << 13), tile * now.group_words + word
            yield Step(kept, last, bias, group, key_word, narrow, beat | {"y": f["y1"]})
            done += kept


def random_pass(rng: random.Random, now: Bin) -> Pass:
    """Any mode, grouped or not; the last tile ends with a word that is kept."""
    grouped = rng.random() < 0.5
    mode = rng.randrange(3 + now.windows)
    paired, split = 0 if grouped else rng.randrange(now.packed + 1), rng.randrange(now.splits.bit_length())
    if grouped and (mode != VALUES or now.group_words % (1 << split)):
        split = 0
    words = rng.randrange(1, (now.words * (1 + paired) >> split) + 1)
    fields = {"mode": mode, "grouped": int(grouped), "words": words, "steps": words, "add_pos": 0}
    fields |= {"paired": paired, "split": split}
    if grouped:
        fields["words"] = rng.randrange(1, (now.group_words >> split) + 1)
        fields["steps"] = (now.groups - 1) * (now.group_words >> split) + fields["words"]
    fields |= {name: rng.randrange(1 << bits) for name, bits in (BASES | PASSED_ON).items()}
    if now.folds:
        fields["dst_base"] = rng.randrange(16) * 512 + rng.randrange(now.row_words)
    fields["add_pos"] = rng.randrange(2) if fields["mode"] == NARROW else 0
    return Pass(fields, rng.randrange(1024), rng.choice([1, 1, 2, 3]), now)


class Model:
    """Tiles announced and steps still to come."""

    def __init__(self, pipes: int, sfus: int) -> None:
        self.subs, self.sfus = pipes // sfus, sfus
        self.tiles: deque[tuple[int, Pass, deque[Step], bool]] = deque()  # cycle of the first step, steps, first tile
        self.kept = self.sub = 0
        self.released = -1  # cycle from which the next tile may end

    def end(self, cycle: int, one: Pass, tile: int) -> None:
        """A tile's last element is issued."""
        assert cycle >= self.released >= 0 or not self.tiles
        steps = deque(one.steps(tile, self.kept if tile else 0, self.sfus))
        self.kept = (self.kept if tile else 0) + sum(step.kept for step in steps)
        self.tiles.append((cycle + FIRST_STEP, one, steps, tile == 0))
        held = one.fields["mode"] == VALUES
        self.released = 1 << 60 if held else cycle + FIRST_STEP + max(0, len(steps) - RELEASE) + 1

    def expected(self, cycle: int, ok: int) -> tuple[dict[str, int], Step | None, dict[str, int] | None]:
        """(outputs of this cycle, the step, its value beat); the step is taken."""
        active = bool(self.tiles) and self.tiles[0][0] <= cycle
        start = any(at == cycle + 1 and new and one.fields["mode"] == SCORE for at, one, _, new in self.tiles)
        out = {"pend_o": int(cycle < self.released), "idle_o": int(not active and cycle >= self.released)}
        out |= {"shift_o": 0, "score_o": 0, "score_fin_o": 0, "score_start_o": int(start), "value_busy_o": 0}
        if not active:
            return out, None, None
        mode, steps = self.tiles[0][1].fields["mode"], self.tiles[0][2]
        step, beat, goes = steps[0], None, True
        out |= {"value_busy_o": int(mode == VALUES), "split_o": self.tiles[0][1].fields["split"]}
        if mode == VALUES and step.kept:
            word_end = self.sub == self.subs - 1
            beat = step.beat | {"sub": self.sub, "word_end": int(word_end), "fin": int(step.beat["fin"] and word_end)}
            goes = bool(ok and word_end)
            self.sub = (self.sub + ok) % self.subs
        if mode == SCORE and step.kept:
            out |= {"score_o": 1, "score_fin_o": step.beat["fin"], "score_addr_o": step.beat["dst_addr"]}
            out |= {"score_group_o": step.group, "score_word_o": step.key_word}
        if not goes:
            return out, None, beat if ok else None
        out["shift_o"] = 1
        if mode in (NARROW, GATHER) and step.kept:
            out |= {"bias_addr_o": step.bias}
        out["tag_o"] = step.beat["tag"]
        steps.popleft()
        if not steps:
            self.tiles.popleft()
            if mode == VALUES and len(self.tiles) == 0:
                self.released = cycle + 1
        return out, step, beat


@cocotb.test()
@cocotb.parametrize(idle=[0.0, 0.9], stall=[0.0, 0.6])
async def every_step_has_its_cycle_and_addresses(dut: Any, idle: float, stall: float) -> None:
    rng, model = random.Random(case().get("seed", 1)), Model(case()["pipes"], case()["sfus"])
    cocotb.start_soon(Clock(dut.clk_i, 10, "ns").start())
    dut.end_i.value = dut.value_ok_i.value = 0
    dut.rst_i.value = 1
    await cycles(dut, 2)
    dut.rst_i.value = 0
    narrow: dict[str, int] | None = None
    cycle, freeze, passes = 0, 300, 0
    for _ in range(12):
        sizes = (case()[name] for name in ("words", "packed", "splits"))
        share = rng.randrange(case()["splits"].bit_length())
        fixed = rng.randrange(1, 99), rng.randrange(99), rng.randrange(1 << 12), rng.choice([1, 2, 4]), *sizes, share
        older = rng.choice([0, rng.randrange(case()["words"] * 2)]) if case()["windows"] else 0
        ring = rng.randrange(99), older, rng.randrange(2) if older else 0
        now = Bin(*fixed, case()["pipes"], case()["windows"], *ring)
        stand_still(dut, now)
        todo = [(one, tile) for one in (random_pass(rng, now) for _ in range(8)) for tile in range(one.tiles)]
        while todo or model.tiles or cycle < model.released:
            await Timer(1, "ns")
            end = bool(todo) and not int(dut.pend_o.value) and rng.random() >= idle
            ok = int(rng.random() >= stall)
            if passes >= 20 and freeze and model.tiles and model.tiles[0][1].fields["mode"] == VALUES:
                freeze, ok = freeze - 1, 0
            dut.end_i.value, dut.value_ok_i.value = end, ok
            dut.desc_i.value = todo[0][0].description(todo[0][1]) if end else rng.getrandbits(212)
            await Timer(1, "ns")
            got = unpacked(int(dut.narrow_o.value), NARROW_BITS)
            assert got == narrow if narrow else not got["valid"], (cycle, got, narrow)
            out, step, beat = model.expected(cycle, ok)
            assert {name: int(getattr(dut, name).value) for name in out} == out, (cycle, passes)
            got = unpacked(int(dut.value_o.value), BEAT_BITS)
            assert got == beat if beat else not got["valid"], (cycle, got, beat)
            narrow = step.narrow if step and step.narrow["valid"] else None
            if end:
                one, tile = todo.pop(0)
                passes += tile == 0
                model.end(cycle, one, tile)
            await cycles(dut, 1)
            cycle += 1
    assert passes == 96 and not freeze


def stand_still(dut: Any, now: Bin) -> None:
    """Configuration and registers of a bin."""
    dut.cfg_i.value = configuration(group_words=now.group_words, value_rows=now.value_rows, value_split=now.value_split)
    dut.slot_i.value, dut.pos_off_i.value, dut.res_stride_i.value = now.slot, now.pos_off, now.res_stride
    dut.older_i.value, dut.blank_i.value = now.older, now.blank

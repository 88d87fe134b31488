"""edt_sfu_seq: every beat of LayerNorm, exponential and rotary instructions, in its cycle, with its addresses.

Instructions come at random and wait for statistics, scores and the units at random, once for longer than any of them
lasts; another one stands at the door all the while.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import cocotb
from bench import case, cycles
from cocotb.clock import Clock
from cocotb.triggers import Timer
from control import BEAT_BITS, EXPONENTIAL, NORM, TURN, configuration, instruction, unpacked

from edgendt.engine.layout import OP_EXP, OP_NORM, OP_TURN

OPS = {OP_NORM: NORM, OP_EXP: EXPONENTIAL, OP_TURN: TURN}
CALC = {OP_NORM: 9, OP_EXP: 0, OP_TURN: 1}  # cycles between an instruction's start and its beats
FLUSH = 20  # between the last beat and idle


@dataclass(frozen=True)
class Work:
    """One instruction with the configuration and the keys that it meets."""

    fields: dict[str, int]
    pc: int
    groups: int
    key_words: int
    keys: int
    oldest: int  # a beat's first key

    @property
    def aged(self) -> bool:
        return self.exponential and bool(self.fields["aged"])

    @property
    def exponential(self) -> bool:
        return self.fields["op"] == OP_EXP

    def beats(self, pipes: int, sfus: int) -> Iterator[tuple[int, dict[str, int]]]:
        """(word that is read, record) of every beat."""
        size, groups = (self.keys, self.groups) if self.exponential else (self.fields["n_red"], 1)
        for done in range(0, size, sfus):
            element = (done + self.oldest) % size if self.aged else done
            word, sub = divmod(element // sfus, pipes // sfus)
            for group in range(groups):
                tile, inner = divmod(word, self.key_words) if self.exponential else (0, word)
                end, last = group == groups - 1, done + sfus >= size and group == groups - 1
                yield (
                    self.fields["add_base"] + (tile * groups + group) * self.key_words + inner,
                    {
                        "valid": 1,
                        "op": OPS[self.fields["op"]],
                        "group": group,
                        "sub": sub,
                        "count": min(sfus, size - done),
                        "dst_addr": self.fields["dst_base"] + (element // sfus if self.exponential else word),
                        "gb_addr": self.fields["bias_base"] + done // sfus,
                        "tag": self.fields["dst_tag"],
                        "word_end": int(end and (self.exponential or last or sub == pipes // sfus - 1)),
                        "fin": int(last and self.fields["tag_fin"]),
                        "res": 0,
                        "kv": 0,
                        "y": self.fields["y1"],
                        "pc": self.pc,
                    },
                )


def work(rng: random.Random) -> Work:
    """A random instruction of any kind."""
    fields = {
        "op": rng.choice([*OPS]),
        "src_use": int(rng.random() < 0.8),
        "n_red": rng.choice([1, 2, rng.randrange(1, 60)]),
        "src_tag": rng.randrange(8),
        "dst_tag": rng.randrange(8),
        "tag_fin": rng.randrange(2),
        "aged": rng.randrange(2),
        "y1": rng.randrange(32),
    }
    fields |= {name: rng.randrange(1 << 10) for name in ("add_base", "dst_base", "bias_base")}
    keys, key_words, oldest, sfus = rng.randrange(1, 40), rng.randrange(1, 5), 0, case()["sfus"]
    if fields["op"] == OP_EXP and fields["aged"]:  # whole beats and one tile, but while the window fills
        keys = rng.randrange(1, key_words * case()["pipes"] + 1)
        oldest = rng.randrange(keys // sfus) * sfus if keys % sfus == 0 else 0
    return Work(fields, rng.randrange(1024), rng.choice([1, 2, 4, 8]), key_words, keys, oldest)


async def settled(dut: Any) -> dict[str, int]:
    """The outputs of this cycle."""
    await Timer(1, "ns")
    names = ("take_o", "idle_o", "stats_start_o", "exp_clear_o", "running_o", "read_addr_o")
    return {name: int(getattr(dut, name).value) for name in names}


@cocotb.test()
@cocotb.parametrize(idle=[0.0, 0.6], stall=[0.0, 0.8])
async def every_beat_has_its_cycle_and_addresses(dut: Any, idle: float, stall: float) -> None:
    rng, pipes, sfus = random.Random(case().get("seed", 1)), case()["pipes"], case()["sfus"]
    cocotb.start_soon(Clock(dut.clk_i, 10, "ns").start())
    for name in ("valid_i", "done_i", "stats_ok_i", "angles_ok_i", "value_busy_i"):
        getattr(dut, name).value = 0
    dut.rst_i.value = 1
    await cycles(dut, 2)
    dut.rst_i.value = 0
    for turn in range(60):
        one = work(rng)
        dut.cfg_i.value = configuration(groups=one.groups, key_words=one.key_words)
        dut.n_keys_i.value, dut.oldest_i.value = one.keys, one.oldest
        while rng.random() < idle:
            assert (await settled(dut))["idle_o"] == 1
            await cycles(dut, 1)
        dut.valid_i.value, dut.ins_i.value, dut.pc_i.value = 1, instruction(**one.fields), one.pc
        out = await settled(dut)
        assert out["take_o"] == out["idle_o"] == 1, "an idle unit takes at once"
        await cycles(dut, 1)
        await wait_for_the_source(dut, rng, one, 300 if turn == 7 else 0, stall)
        expected = [None] * CALC[one.fields["op"]] + list(one.beats(pipes, sfus)) + [None] * FLUSH
        for number, step in enumerate(expected):
            junk(dut, rng)
            out, record = await settled(dut), unpacked(int(dut.beat_o.value), BEAT_BITS)
            assert not out["stats_start_o"] and not out["exp_clear_o"] and not out["take_o"] and not out["idle_o"]
            assert out["running_o"] == (number < len(expected) - FLUSH)
            assert int(dut.ins_o.value) == instruction(**one.fields), "the units still look at the instruction"
            if step is None:
                assert not record["valid"], (one, number)
            else:
                assert (out["read_addr_o"], record) == step, (one, number)
            await cycles(dut, 1)
        dut.valid_i.value = 0


async def wait_for_the_source(dut: Any, rng: random.Random, one: Work, freeze: int, stall: float) -> None:
    """No start before source and units are free, and then at once."""
    for waited in range(10_000):
        ready, busy = waited >= freeze and rng.random() >= stall, rng.random() < stall
        junk(dut, rng)
        dut.value_busy_i.value = busy
        kind, angles = one.fields["op"], rng.random() >= stall
        dut.stats_ok_i.value = ready if kind == OP_NORM else rng.randrange(2)
        dut.angles_ok_i.value = angles
        written = kind == OP_TURN and not one.fields["src_use"]  # long ago: nobody is asked
        others = rng.randrange(256) & ~(1 << one.fields["src_tag"])
        dut.done_i.value = others | ready << one.fields["src_tag"] if kind != OP_NORM else others
        out = await settled(dut)
        go = (ready or written) and not busy and (angles or kind != OP_TURN)
        assert (out["stats_start_o"], out["exp_clear_o"]) == (int(go and kind == OP_NORM), int(go and one.exponential))
        assert not out["take_o"] and not unpacked(int(dut.beat_o.value), BEAT_BITS)["valid"]
        await cycles(dut, 1)
        if go:
            return
    raise AssertionError("it never became ready")


def junk(dut: Any, rng: random.Random) -> None:
    """Another instruction stands at the door; what the unit has already looked at changes."""
    dut.valid_i.value, dut.ins_i.value, dut.pc_i.value = 1, rng.getrandbits(200), rng.randrange(1024)
    dut.stats_ok_i.value, dut.done_i.value = rng.randrange(2), rng.randrange(256)
    dut.value_busy_i.value, dut.angles_ok_i.value = rng.randrange(2), rng.randrange(2)

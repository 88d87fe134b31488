"""edt_seq: loaded programs are handed out in order, each instruction in its cycle; the registers of every bin.

With Windows some programs are phases that are repeated for every bin of a window, within a start or start by start, and
move addresses by the bin's row; others loop over channels within every bin, and take up the bin's place behind that.

Units take, tags finish and the engine falls quiet at random, once later than any bin lasts; starts while busy and past
the last bin change nothing. What a row sees is what the last pass of scores said.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import cocotb
from bench import case, cycles
from cocotb.clock import Clock
from cocotb.triggers import Timer
from control import configuration, instruction

from edgendt.engine.layout import (
    CFG,
    MEM_CFG,
    MEM_PROG,
    MODE_SCORE,
    OP_END,
    OP_EXP,
    OP_MAC,
    OP_NORM,
    OP_SHAPE,
    OP_SYNC,
    OP_TURN,
    ROWS_AT,
    SIGHT_BITS,
    X_BITS,
    Instr,
)
from edgendt.engine.phases import shape_of

FETCH = 3  # cycles from a start or an instruction to the next one; one more with windows
ROWS = {"rows_x": 17, "rows_dst": 13, "rows_add": 13}  # bits of the address that each moves


@dataclass(frozen=True)
class Network:
    """A random configuration and program."""

    cfg: dict[str, int]
    program: list[dict[str, int]]
    stride: tuple[int, int] = (0, 0)  # words of a bin's row: activation, residual

    @property
    def loops(self) -> bool:
        return "loop" in self.program[-1]

    @property
    def phases(self) -> Iterator[range]:
        """The instructions of each, with its END."""
        begin = 0
        for pc, fields in enumerate(self.program):
            if fields["op"] == OP_END:
                yield range(begin, pc + 1)
                begin = pc + 1

    def start(self, number: int) -> list[tuple[int, int]]:
        """(instruction, bins and phases before it) of everything that a start runs."""
        if not self.loops:
            return [(pc, number) for pc in range(len(self.program))]
        window, done = self.cfg["window"], []
        for phase, pcs in enumerate(self.phases):
            for slot in range(window):
                done.append([(pc, phase * window + slot) for pc in pcs])
        starts: list[list[tuple[int, int]]] = [[]]
        for part in done:
            starts[-1] += part
            fields, slot = self.program[part[-1][0]], part[-1][1] % window
            if fields["pause_last" if slot == window - 1 else "pause_each"]:
                starts.append([])
        return starts[number] if number < len(starts) else []

    def instruction(self, pc: int, before: int) -> tuple[int, int]:
        """The instruction as it is handed out, and its xbase with all its bits."""
        fields, (act, res) = dict(self.program[pc]), self.moves(before)
        moved = {"rows_x": act * case()["pipes"], "rows_dst": res if fields.get("dst", 0) & 8 else act, "rows_add": res}
        for flag, field in zip(ROWS, ("xbase", "dst_base", "add_base"), strict=True):
            if fields.pop(flag, 0):
                fields[field] = (fields[field] + moved[flag]) % (1 << ROWS[flag])
        xbase, fields["xbase"] = fields.get("xbase", 0), fields.get("xbase", 0) % (1 << X_BITS)
        given = {name: value for name, value in fields.items() if not name.startswith(("loop", "pause"))}
        return instruction(**given), xbase % (1 << case()["x_bits"])

    def moves(self, before: int) -> tuple[int, int]:
        """Words to the row at work, of activations and of the residual."""
        return tuple(before % self.cfg["window"] * stride for stride in self.stride)

    def answers(self, most: int) -> int:
        """Bins and phases behind the last of so many starts."""
        return len(list(self.phases)) * self.cfg["window"] if self.loops else most

    def by_slot(self, before: int) -> bool | None:
        """Whether rows turn by their slot; None where that means nothing."""
        return self.loops if before else None

    def again(self, pc: int) -> bool:
        """Whether behind this END the angles of another row begin."""
        return self.loops

    def oldest(self, bin: int) -> int:
        """The key behind those of the newest one's beat, with a full window."""
        window, sfus = self.cfg["window"], case()["sfus"]
        behind = (bin % window // sfus + 1) * sfus
        return behind if bin >= window - 1 and behind < window else 0

    def registers(self, number: int, bin: int, lanes: int) -> dict[str, int]:
        """What the registers hold in a start, behind so many bins."""
        window, segs = self.cfg["window"], self.cfg["group_segs"]
        slot = bin % window
        return {
            "bin_o": number,
            "slot_o": slot,
            "slot_lane_o": slot % lanes,
            "slot_seg_o": slot // lanes % segs,
            "slot_off_o": slot // (lanes * segs) * self.cfg["head_dim"],
            "n_keys_o": min(bin + 1, window),
            "key_tiles_o": (min(bin + 1, window) - 1) // (lanes * segs) + 1,
            "pos_off_o": (slot if self.loops else bin) * self.cfg["pos_stride"] % (1 << 13),
            "refuse_o": int(0 < self.cfg["max_bins"] <= number),
        }


@dataclass(frozen=True)
class Looped(Network):
    """A stream whose bins loop over channels: phase by phase one row, or as many as its geometry says.

    What came before is (bin, phase, row).
    """

    shapes: tuple[dict[str, int] | None, ...] = ()  # of each phase; None: of the bin itself

    def start(self, number: int) -> list[tuple[int, Any]]:
        todo: list[tuple[int, Any]] = []
        for phase, (pcs, shape) in enumerate(zip(self.phases, self.shapes, strict=True)):
            for row in range(shape["window"] if shape else 1):
                todo += [(pc, (number, phase, row)) for pc in pcs[int(row > 0) :]]  # its SHAPE is not repeated
        return todo

    def moves(self, before: Any) -> tuple[int, int]:
        bin, phase, row = before
        inside = self.shapes[phase] is not None
        return row * self.stride[0], (bin + inside) % self.cfg["window"] * self.stride[1]

    def answers(self, most: int) -> Any:
        return most, 0, 0

    def by_slot(self, before: Any) -> bool | None:
        return None if before[1] or before[0] == 0 else False

    def again(self, pc: int) -> bool:
        return False

    def oldest(self, before: Any) -> int:
        bin, phase, row = before
        shape = self.shapes[phase]
        return Network.oldest(self, bin) if shape is None else Network(shape, []).oldest(row + shape["window"])

    def registers(self, number: int, before: Any, lanes: int) -> dict[str, int]:
        bin, phase, row = before
        shape = self.shapes[phase]
        if shape is None:
            return Network.registers(self, number, bin, lanes)
        window = self.cfg["window"]
        full = {"n_keys_o": shape["window"], "key_tiles_o": shape["key_tiles"]}
        ring = {"older_o": window - 1 - bin % window, "blank_o": int(bin < window - 1)}
        return Network(shape, self.program).registers(number, row, lanes) | full | ring


def network(rng: random.Random, lanes: int, depth: int) -> Network:
    """Every field of the configuration differs; the program ends with END. One in four has no last bin."""
    window, segs = rng.choice([1, rng.randrange(1, 40)]), rng.choice([1, 2, 4])
    cfg = {name: rng.randrange(1, 16) for name in CFG}
    cfg["value_split"] &= 3
    cfg |= {"window": window, "group_segs": segs, "key_tiles": -(-window // (lanes * segs))}
    cfg |= {"max_bins": rng.choice([0, *[rng.randrange(1, 3 * window + 2)] * 3]), "pos_stride": rng.randrange(1 << 12)}
    ops = [rng.choice([OP_MAC, OP_NORM, OP_EXP, OP_SYNC, OP_TURN]) for _ in range(rng.randrange(depth))]
    fields = (
        {"bar_use": rng.randrange(2), "bar_tag": rng.randrange(8), "sbase": rng.getrandbits(20)}
        | {"mode": rng.randrange(4), "kv_base": sight(rng) << SIGHT_BITS | sight(rng)}
        for _ in range(99)
    )
    program = [{"op": op} | one for op, one in zip([*ops, OP_END], fields, strict=False)]
    kinds = (phases, looped, lambda _, *one: Network(*one)) if case()["windows"] else (lambda _, *one: Network(*one),)
    return rng.choice(kinds)(rng, cfg, program)


def sight(rng: random.Random) -> int:
    """How far a row sees, and itself; 0 for all."""
    return rng.choice([0, 1, 2, rng.randrange(1, 257)])


def looped(rng: random.Random, cfg: dict[str, int], program: list[dict[str, int]]) -> Looped:
    """The same as a stream that loops over channels, once or twice in every bin, one to three loops each time."""
    kinds = [False]
    for _ in range(rng.randrange(1, 3)):
        kinds += [True] * rng.randrange(1, 4) + [False]
    ops, phased, shapes = program[:-1], [], []
    for phase, inside in enumerate(kinds):
        shape = geometry(rng, cfg) if inside else None
        if phase:
            phased.append(dict(shape_of(shape or cfg, back=not inside).fields))
        shapes.append(shape)
        for fields in ops[phase :: len(kinds)]:
            flags = {"rows_add": rng.randrange(2)}
            flags |= {"rows_x": rng.randrange(2), "rows_dst": rng.randrange(2), "dst": 16} if inside else {"dst": 8}
            phased.append(fields | flags | {name: rng.getrandbits(13) for name in ("xbase", "dst_base", "add_base")})
        following = kinds[phase + 1 : phase + 2]
        end = {"loop": 1} if inside else {"tag_clear": 1} if following else {}
        phased.append({"op": OP_END, "bar_use": 0, "bar_tag": 0} | end)
    return Looped(cfg, phased, (rng.getrandbits(9), rng.getrandbits(9)), tuple(shapes))


def geometry(rng: random.Random, cfg: dict[str, int]) -> dict[str, int]:
    """Another one for a loop over channels."""
    window, segs = rng.randrange(1, 12), rng.choice([1, 2, 4])
    drawn = cfg | {"window": window, "group_segs": segs, "head_dim": rng.randrange(1, 16)}
    return drawn | {"key_tiles": -(-window // (case()["lanes"] * segs))}


def phases(rng: random.Random, cfg: dict[str, int], program: list[dict[str, int]]) -> Network:
    """The same as a network of whole windows: two to four phases, addresses that move."""
    cfg["window"] = rng.randrange(1, 9)
    cfg |= {"key_tiles": -(-cfg["window"] // (case()["lanes"] * cfg["group_segs"])), "max_bins": 2 * cfg["window"]}
    count = rng.randrange(2, 5)
    for phase in range(count - 1):
        program.insert(rng.randrange(len(program)), {"op": OP_END, "bar_use": 0, "bar_tag": 0, "phase": phase})
    ends = 0
    for fields in program:
        fields.pop("phase", None)
        if fields["op"] == OP_END:
            fields |= {"loop": 1, "pause_each": int(ends in (0, count - 1)), "pause_last": int(ends >= count - 2)}
            ends += 1
        else:
            fields |= {flag: rng.randrange(2) for flag in ROWS} | {"dst": rng.choice([8, 16])}
            fields |= {"xbase": rng.getrandbits(17), "dst_base": rng.getrandbits(13), "add_base": rng.getrandbits(13)}
    return Network(cfg, program, (rng.getrandbits(9), rng.getrandbits(9)))


async def load(dut: Any, rng: random.Random, one: Network) -> None:
    """Write program and configuration, and words for other memories between them."""
    words = [(MEM_CFG, address, one.cfg[name]) for address, name in enumerate(CFG)]
    if case()["windows"]:
        words += [(MEM_CFG, ROWS_AT + at, stride) for at, stride in enumerate(one.stride)]
    for index, fields in enumerate(one.program):
        chunks = Instr("bench", fields).chunks()
        words += [(MEM_PROG, index << 3 | chunk, word) for chunk, word in enumerate(chunks)]
    words += [(rng.randrange(6), rng.getrandbits(10), rng.getrandbits(40)) for _ in range(20)]
    rng.shuffle(words)
    for memory, address, word in words:
        dut.load_en_i.value, dut.load_mem_i.value = 1, memory
        dut.load_addr_i.value, dut.load_data_i.value = address, word
        await cycles(dut, 1)
    dut.load_en_i.value = 0
    await cycles(dut, 1)
    assert int(dut.cfg_o.value) == configuration(**one.cfg)


def check_sight(dut: Any, one: Network, number: int, bin: int, said: int) -> None:
    """The keys of a row behind a pass of scores that said so."""
    registers = one.registers(number, bin, case()["lanes"])
    slot, keys = registers["slot_o"], registers["n_keys_o"]
    back, ahead = divmod(said, 1 << SIGHT_BITS)
    expected = max(0, slot + 1 - back) if back else 0, min(keys, slot + ahead) if ahead else keys
    assert (int(dut.first_o.value), int(dut.stop_o.value)) == expected, (slot, keys, back, ahead)


def check_registers(dut: Any, one: Network, number: int, bin: int) -> None:
    registers = one.registers(number, bin, case()["lanes"])
    assert {name: int(getattr(dut, name).value) for name in registers} == registers


async def run_bin(
    dut: Any, rng: random.Random, one: Network, number: int, stall: float, freeze: int, said: int | None
) -> int | None:
    """One start in cycle 0; every instruction as soon as it may, an end when everything is quiet.

    said: what the last pass of scores said of the keys that its row sees, None before the first. Returns the same.
    """
    fetch = FETCH + case()["windows"]
    dut.start_i.value = 1
    await cycles(dut, 1)
    todo, ready, quiet, settled, taken = one.start(number), fetch, False, 0, 0
    for cycle in range(1, 10_000):
        pc, bin = todo[0]
        fields = one.program[pc]
        willing = cycle > freeze and rng.random() >= stall
        done = rng.getrandbits(8) if rng.random() >= stall else 0
        dut.start_i.value = rng.randrange(2)  # a start while busy means nothing
        dut.done_i.value, dut.mac_take_i.value, dut.sfu_take_i.value = done, 0, 0
        before, quiet = quiet, willing
        dut.quiet_i.value = quiet
        await Timer(1, "ns")
        valid, bar = cycle >= ready, bool(done >> fields.get("bar_tag", 0) & 1)
        mac, sfu = valid and fields["op"] == OP_MAC, valid and fields["op"] in (OP_NORM, OP_EXP, OP_TURN)
        assert (int(dut.mac_valid_o.value), int(dut.sfu_valid_o.value)) == (int(mac), int(sfu)), (cycle, fields)
        assert int(dut.busy_o.value) == 1 and int(dut.done_o.value) == 0
        if cycle > settled and fields["op"] != OP_SHAPE:
            check_registers(dut, one, number, bin)
            assert int(dut.oldest_o.value) == one.oldest(bin)
            if said is not None and cycle > taken + 1:
                check_sight(dut, one, number, bin, said)
        if valid:
            ins, xbase = one.instruction(pc, bin)
            handed = tuple(int(port.value) for port in (dut.ins_o, dut.xbase_o, dut.pc_o))
            assert handed == (ins, xbase, pc)
        dut.mac_take_i.value, dut.sfu_take_i.value = mac and willing, sfu and willing
        if case()["windows"] and mac and willing and fields["mode"] == MODE_SCORE:
            said, taken = fields["kv_base"], cycle
        if ((mac or sfu) and willing) or (valid and fields["op"] == OP_SYNC and bar):
            todo.pop(0)
            ready = cycle + fetch
        if valid and fields["op"] == OP_SHAPE:
            todo.pop(0)
            ready, settled = cycle + fetch, cycle + 2
        last = valid and fields["op"] == OP_END and before and (not fields["bar_use"] or bar)
        assert int(dut.again_o.value) == int(bool(last) and one.again(pc))
        assert one.by_slot(bin) in (None, bool(dut.by_slot_o.value))
        await cycles(dut, 1)
        if last:
            todo.pop(0)
            ready, settled = cycle + fetch, cycle + 2
        if last and not todo:
            dut.start_i.value = 0
            await Timer(1, "ns")
            assert (int(dut.busy_o.value), int(dut.done_o.value), int(dut.cycles_o.value)) == (0, 1, cycle + 1)
            await cycles(dut, 1)
            assert int(dut.done_o.value) == 0
            return said
    raise AssertionError("the bin does not end")


async def refused(dut: Any) -> None:
    """A start past the last bin."""
    dut.start_i.value = 1
    await cycles(dut, 1)
    dut.start_i.value = 0
    await cycles(dut, 1)
    assert (int(dut.busy_o.value), int(dut.done_o.value)) == (0, 0)


@cocotb.test()
@cocotb.parametrize(idle=[0.0, 0.5], stall=[0.0, 0.7])
async def programs_run_in_order_and_bins_have_their_registers(dut: Any, idle: float, stall: float) -> None:
    rng, freeze = random.Random(case().get("seed", 1)), 300
    said = None if case()["windows"] else 0  # streams alone see what there is
    cocotb.start_soon(Clock(dut.clk_i, 10, "ns").start())
    for name in ("load_en_i", "trial_reset_i", "start_i", "mac_take_i", "sfu_take_i", "done_i", "quiet_i"):
        getattr(dut, name).value = 0
    dut.rst_i.value = 1
    await cycles(dut, 3)
    dut.rst_i.value = 0
    await cycles(dut, 1)
    for _ in range(9 if case()["windows"] else 6):
        one = network(rng, case()["lanes"], case()["depth"])
        await load(dut, rng, one)
        most = one.cfg["max_bins"] or 50
        for bins in (rng.randrange(1, most + 1), most):
            dut.trial_reset_i.value = 1
            await cycles(dut, 1)
            dut.trial_reset_i.value = 0
            await Timer(1, "ns")
            for bin in range(bins):
                check_registers(dut, one, bin, (one.start(bin) or [(0, one.answers(bin))])[0][1])
                said = await run_bin(dut, rng, one, bin, stall, freeze, said)
                freeze = 0
                while rng.random() < idle:
                    await cycles(dut, 1)
        behind = one.answers(most)
        check_registers(dut, one, most, behind)
        if one.cfg["max_bins"]:
            await refused(dut)
            check_registers(dut, one, most, behind)

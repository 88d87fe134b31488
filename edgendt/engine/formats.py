"""What no engine holds, whatever its size: formats and shapes, checked before anything is placed."""

from __future__ import annotations

from edgendt.engine.config import Engine
from edgendt.errors import DoesNotFit, UnsupportedOp, gathered
from edgendt.ops import (
    GEGLU,
    Attention,
    CrossAttention,
    LayerNorm,
    Linear,
    Lookup,
    Rotary,
    SpatialMix,
    SpatialWeights,
    Table,
    Transpose,
)
from edgendt.program import Node, Program


def check_formats(program: Program, engine: Engine) -> None:
    """UnsupportedOp names every node that no unit of the engine holds, and its first reason."""
    if program.inputs and not engine.tokens:
        program.needs_counts("an engine without tokens = 1")
    refusals = []
    for node in program.nodes:
        try:
            _held(program, node, engine)
        except UnsupportedOp as error:
            refusals.append(error)
    if refusals:
        raise gathered(refusals)
    lengths = {item.axis.length for item in program.inputs if item.codes is not None}
    if len(lengths) > 1 or max(lengths, default=0) > 256:
        raise UnsupportedOp("program", program.name, "its constants have one number of rows, at most 256")
    if (program.input.bits > 8 and not program.inputs) or program.channels > 256 or program.outputs > 256:
        raise UnsupportedOp("program", program.name, "at most 8-bit counts, 256 channels and 256 outputs")
    if program.accumulator.bits > engine.acc_bits:
        raise DoesNotFit(
            f"{program.name} needs accumulators of {program.accumulator.bits} bits",
            f"build the engine with acc_bits = {program.accumulator.bits}",
        )


def _held(program: Program, node: Node, engine: Engine) -> None:
    """What an engine holds of one node."""
    op = node.op
    if isinstance(op, Linear):
        _need(op.x.bits <= 8, node, f"the array multiplies 8-bit activations, got {op.x.bits} bits")
        _need(op.w.bits <= 8, node, f"a weight has at most 8 bits, got {op.w.bits}")
        _need(op.inputs <= 1024, node, f"at most 1024 inputs, got {op.inputs}")
        _need(op.outputs <= 1024, node, f"at most 1024 outputs, got {op.outputs}")
    if isinstance(op, Table):
        asked = "an engine looks functions up when built with tokens = 1: choose `tokens`, or train with ReLU"
        _need(bool(engine.tokens), node, asked)
        _need(2 * op.size <= 1024, node, f"at most 512 channels, got {op.size}")
    if isinstance(op, LayerNorm):
        _need(op.gamma.bits <= 8, node, f"gamma has at most 8 bits, got {op.gamma.bits}")
        _need(0 <= op.shift <= 63, node, f"12 + gamma.frac - y.frac must be 0..63, got {op.shift}")
        _need(op.eps_code < 1 << 38, node, "eps_code has at most 38 bits")
        _need(op.x.signed, node, "its input is signed")
        _need(op.size <= 256, node, f"at most 256 channels, got {op.size}")
    if isinstance(op, Attention):
        forms = (op.q, op.k, op.v)
        _need(all(form.bits <= 8 and form.signed for form in forms), node, "q, k and v are signed 8-bit codes")
        _need(op.scale.shift <= 55, node, f"the exponent's shift is at most 55, got {op.scale.shift}")
        reach = op.v.frac - op.y.frac
        _need(-15 <= reach <= 33, node, f"v.frac - y.frac must be -15..33, got {reach}")
        _need(op.size <= 256 and op.heads <= 8, node, "at most 256 channels and 8 heads")
        _need(op.window <= 256, node, f"a window of at most 256 bins, got {op.window}")
    if isinstance(op, Rotary):
        _need(bool(engine.tokens) or not op.inverse, node, "it turns one way only")
        built = "tokens" if program.bins else "streaming"
        asked = f"an engine turns by time when built with rotary = 1: choose `{built}`"
        _need(bool(engine.rotary), node, asked)
        _need(op.x.signed and op.x.bits <= 11, node, f"its input is signed, of at most 11 bits, got {op.x}")
        _need(0 <= op.shift <= 63, node, f"10 + x.frac - y.frac must be 0..63, got {op.shift}")
        _need(op.size <= engine.key_size, node, f"at most {engine.key_size} channels (key_size), got {op.size}")
    if isinstance(op, Transpose):
        asked = "an engine looks back at time courses when built with windows = 1: choose `window`"
        _need(bool(engine.windows) or not op.causal, node, asked)
    if program.bins:
        _whole(program, node, engine)
    if not program.inputs:
        _between_channels(program, node)
    if program.inputs:
        _tokens(node, engine)
    _need(op.y.bits <= 16, node, f"a result has at most 16 bits, got {op.y.bits}")
    if isinstance(op, LayerNorm | Attention | Rotary | CrossAttention | GEGLU | Table):
        _need(op.y.bits <= 8, node, f"it gives at most 8 bits, got {op.y.bits}")


def _whole(program: Program, node: Node, engine: Engine) -> None:
    """What an engine holds of a network of whole windows."""
    op = node.op
    asked = "an engine answers whole windows when built with windows = 1: choose `window`"
    _need(bool(engine.windows) or not isinstance(op, Attention | Transpose), node, asked)
    if isinstance(op, Attention):
        _need(not op.causal, node, "in a whole window no attention may stream: take ahead=0")


def _between_channels(program: Program, node: Node) -> None:
    """What an engine holds of an STNDT's ops."""
    op = node.op
    if isinstance(op, Transpose):
        windows = {other.op.window for other in program.nodes if isinstance(other.op, Attention)}
        windows |= {other.op.bins for other in program.nodes if isinstance(other.op, Transpose)}
        _need(len(windows) == 1, node, "its bins must be the window of every attention in time")
        _need(op.channels <= 256 and op.bins <= 256, node, "at most 256 channels and bins")
        only = all(isinstance(reader.op, LayerNorm | Linear) for reader in program.readers(node.name))
        _need(only, node, "the time courses of channels are read by LayerNorms and Linears alone")
        every = {other.op.channels for other in program.nodes if isinstance(other.op, Transpose)}
        _need(len(every) == 1, node, "every Transpose has the same channels")
    if isinstance(op, SpatialWeights):
        _need(op.y.bits <= 8 and op.q.bits <= 8 and op.k.bits <= 8, node, "q, k and weights have at most 8 bits")
        _need(op.q.signed and op.k.signed, node, "q and k are signed")
        _need(0 <= op.mean_shift <= 63 and op.scale.shift <= 55, node, f"shifts are 0..63, got {op.mean_shift}")
        others = [other.op for other in program.nodes if isinstance(other.op, SpatialWeights)]
        same = len({(other.size, other.bins, other.heads) for other in others}) == 1
        _need(same, node, "size, bins and heads must equal those of the others")
    if isinstance(op, SpatialMix):
        _need(op.a.bits <= 8 and op.z.bits <= 8, node, "weights and codes have at most 8 bits")


def _tokens(node: Node, engine: Engine) -> None:
    """What an engine holds of a network of tokens."""
    op = node.op
    if isinstance(op, CrossAttention):
        forms, width = (op.q, op.k, op.v), op.attention.head_size
        _need(all(form.bits <= 8 and form.signed for form in forms), node, "q, k and v are signed 8-bit codes")
        _need(op.y.signed, node, f"its result is signed, got {op.y}")
        _need(op.scale.shift <= 55, node, f"the exponent's shift is at most 55, got {op.scale.shift}")
        reach = op.v.frac - op.y.frac
        _need(-15 <= reach <= 33, node, f"v.frac - y.frac must be -15..33, got {reach}")
        _need(op.size <= engine.key_size, node, f"at most {engine.key_size} channels (key_size), got {op.size}")
        _need(width % engine.pipes == 0, node, f"heads must be whole words of {engine.pipes} channels, got {width}")
    if isinstance(op, Lookup):
        _need(op.y.bits <= 15 + op.y.signed, node, f"its rows are read as 16 signed bits, got {op.y}")
    if isinstance(op, GEGLU):
        _need(op.a.signed and op.a.bits <= 16, node, f"its first input is signed, of at most 16 bits, got {op.a}")
        _need(0 <= op.shift <= 63, node, f"a.frac + gate.frac + 8 - y.frac must be 0..63, got {op.shift}")
        _need(2 * op.size <= 1024, node, f"at most 512 channels, got {op.size}")


def _need(good: bool, node: Node, reason: str) -> None:
    if not good:
        raise UnsupportedOp(node.op.kind, node.name, reason)


def same_heads(program: Program) -> Attention | None:
    """The attention geometry of the Program, which all its attentions share; None without attention."""
    ops = [(node, node.op) for node in program.nodes if isinstance(node.op, Attention)]
    for node, op in ops[1:]:
        first = ops[0][1]
        same = (op.size, op.heads, op.window) == (first.size, first.heads, first.window)
        _need(same, node, "size, heads and window must equal those of the other attentions")
    return ops[0][1] if ops else None

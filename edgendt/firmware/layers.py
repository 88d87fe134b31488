"""The ops hls4ml lacks, as hls4ml layers: a class each, which says where its attributes stand in the op.

Their C++ is hls/cpp/edt_<op>.h, `edgendt.firmware.templates` calls it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from hls4ml.model.attributes import Attribute, WeightAttribute
from hls4ml.model.layers import Layer

from edgendt import ops

SCALE = {"c": "scale.c", "shift": "scale.shift"}  # of scores


class EdtLayer(Layer):
    """An op with one output of `size` codes; constants come as `<name>_data`, their types from the Precision config.

    In the top of a whole window an output has `rows` of them: the op is called for one after the other, with a reset at
    the first where it has a state. `at_once`: the op takes all rows in one call. `counts`: for each input of an op
    whose rows a window has its own number of, where in `inputs` that number comes.

    `op`: what it holds, of `reads` inputs where not of the op's own number, and with the fields of `holds`. A field of
    the config stands in the op under its own name or that of `words`, but for those that the graph says (`placed`).
    """

    op: ClassVar[type[ops.Op] | None] = None
    reads: ClassVar[int | None] = None
    holds: ClassVar[Mapping[str, bool]] = {}
    words: ClassVar[Mapping[str, str]] = {}
    placed: ClassVar[tuple[str, ...]] = ("unroll",)
    constants: ClassVar[tuple[str, ...]] = ()
    function: ClassVar[str] = ""
    fields: ClassVar[tuple[str, ...]] = ("size", "unroll")
    resets: ClassVar[bool] = False
    at_once: ClassVar[bool] = False

    def codes(self) -> list[Any]:
        """Its inputs but for numbers of rows."""
        numbers = set(self.attributes.get("counts", ()))
        return [self.get_input_variable(name) for at, name in enumerate(self.inputs) if at not in numbers]

    def initialize(self) -> None:
        size, rows = self.attributes["size"], self.attributes.get("rows", 0)
        self.add_output_variable([rows, size] if rows else [size])
        for name in self.constants:
            self.add_weights_variable(name, var_name=name + "_{index}")  # exp10 would be a function of C


def _attributes(*fields: str, constants: tuple[str, ...] = ()) -> list[Any]:
    return [Attribute(name) for name in fields] + [WeightAttribute(name) for name in constants]


class EdtAdd(EdtLayer):
    """Residual add of two inputs."""

    op = ops.Add
    function = "add"
    _expected_attributes: ClassVar[list[Any]] = _attributes(*EdtLayer.fields)


class EdtLinear(EdtLayer):
    """hls4ml's dense kernel for the rows of a whole window; for one bin the network has hls4ml's own Dense."""

    function = "linear"
    fields = ("n_in", "n_out", "reuse_factor")
    constants = ("weight", "bias")
    _expected_attributes: ClassVar[list[Any]] = _attributes("size", *fields, constants=constants)


class EdtPosition(EdtLayer):
    """A table row per bin is added; inputs: codes, and in a stream the reset."""

    op = ops.Position
    function = "position"
    resets = True
    fields = ("size", "bins", "unroll")
    constants = ("table",)
    _expected_attributes: ClassVar[list[Any]] = _attributes(*fields, constants=constants)


class EdtLayerNorm(EdtLayer):
    """LayerNorm through the reciprocal square root table."""

    op = ops.LayerNorm
    words: ClassVar[Mapping[str, str]] = {"eps": "eps_code", "gamma_frac": "gamma.frac"}
    function = "layernorm"
    fields = ("size", "eps", "gamma_frac", "unroll")
    constants = ("gamma", "beta", "rsqrt")
    _expected_attributes: ClassVar[list[Any]] = _attributes(*fields, constants=constants)


class EdtAttention(EdtLayer):
    """Attention of one bin over its own cache; inputs: q, k, v, and in a stream the reset."""

    op: ClassVar[type[ops.Op] | None] = ops.Attention
    holds: ClassVar[Mapping[str, bool]] = {"causal": True}
    words: ClassVar[Mapping[str, str]] = SCALE
    function = "attention"
    fields: ClassVar[tuple[str, ...]] = ("size", "heads", "window", "c", "shift", "unroll")
    constants = ("exp", "recip")
    resets = True
    _expected_attributes: ClassVar[list[Any]] = _attributes(*fields, constants=constants)


class EdtRotary(EdtLayer):
    """Pairs of channels turned by time; inputs: codes, and in a stream the reset."""

    op = ops.Rotary
    function = "rotary"
    resets = True
    fields = ("size", "pairs", "inverse", "unroll")
    constants = ("steps", "cos")
    _expected_attributes: ClassVar[list[Any]] = _attributes(*fields, constants=constants)


class EdtRotaryAt(EdtRotary):
    """Pairs of channels turned by a time of each row; inputs: codes, times."""

    reads = 2
    function = "rotary_at"
    resets = False


class EdtConstant(EdtLayer):
    """Codes that the network brings along, [rows, size], in the place of an input."""

    function = "constant"
    fields = ("size", "length")
    constants = ("codes",)
    at_once = True
    _expected_attributes: ClassVar[list[Any]] = _attributes(*fields, constants=constants)


class EdtLookup(EdtLayer):
    """The embedding of a token; input: tokens."""

    op = ops.Lookup
    function = "lookup"
    fields = ("size", "entries", "which", "step", "pairs", "unroll")
    constants = ("table", "kinds")
    _expected_attributes: ClassVar[list[Any]] = _attributes(*fields, constants=constants)


class EdtGEGLU(EdtLayer):
    """Hidden codes gated through a table of GELU; inputs: codes, gates."""

    op = ops.GEGLU
    function = "geglu"
    constants = ("gelu",)
    _expected_attributes: ClassVar[list[Any]] = _attributes(*EdtLayer.fields, constants=constants)


class EdtTable(EdtLayer):
    """A function of each code."""

    op = ops.Table
    function = "table"
    constants = ("table",)
    _expected_attributes: ClassVar[list[Any]] = _attributes(*EdtLayer.fields, constants=constants)


class EdtCrossAttention(EdtAttention):
    """Attention of every query over all keys of a window; inputs: q, k, v."""

    op = ops.CrossAttention
    holds: ClassVar[Mapping[str, bool]] = {}
    words: ClassVar[Mapping[str, str]] = SCALE | {"window": "keys"}
    placed = ("unroll", "queries")
    function = "cross_attention"
    fields = (*EdtAttention.fields, "queries")
    resets = False
    at_once = True
    _expected_attributes: ClassVar[list[Any]] = _attributes(*fields, constants=EdtAttention.constants)


class EdtWindowAttention(EdtAttention):
    """Attention of every bin over bins of a whole window; inputs: q, k, v."""

    holds: ClassVar[Mapping[str, bool]] = {"causal": False}
    function = "attention_window"
    fields = (*EdtAttention.fields, "back", "ahead")
    resets = False
    at_once = True
    _expected_attributes: ClassVar[list[Any]] = _attributes(*fields, constants=EdtAttention.constants)


class EdtTranspose(EdtLayer):
    """The time courses of a whole window's channels as rows."""

    op = ops.Transpose
    holds: ClassVar[Mapping[str, bool]] = {"causal": False}
    function = "transpose"
    fields = ("bins", "channels")
    at_once = True
    _expected_attributes: ClassVar[list[Any]] = _attributes("size", *fields)


class EdtTransposeLast(EdtTranspose):
    """The time courses of the bins up to this one; inputs: codes, the reset."""

    holds: ClassVar[Mapping[str, bool]] = {"causal": True}
    function = "transpose_last"
    resets = True


class EdtSpatialWeights(EdtLayer):
    """Weights between channels; inputs: q, k."""

    op = ops.SpatialWeights
    words: ClassVar[Mapping[str, str]] = SCALE
    function = "spatial_weights"
    fields = ("size", "bins", "heads", "c", "shift", "unroll", "longest", "mean_shift")
    constants = ("exp", "recip")
    at_once = True
    _expected_attributes: ClassVar[list[Any]] = _attributes(*fields, constants=constants)


class EdtSpatialMix(EdtLayer):
    """Weighted sums over channels; inputs: weights, codes."""

    op = ops.SpatialMix
    placed = ("unroll", "bins")
    function = "spatial_mix"
    fields = ("size", "bins", "unroll")
    at_once = True
    _expected_attributes: ClassVar[list[Any]] = _attributes(*fields)


LAYERS: tuple[type[EdtLayer], ...] = (
    EdtLinear,
    EdtAdd,
    EdtPosition,
    EdtLayerNorm,
    EdtAttention,
    EdtWindowAttention,
    EdtRotary,
    EdtRotaryAt,
    EdtConstant,
    EdtLookup,
    EdtGEGLU,
    EdtTable,
    EdtCrossAttention,
    EdtTranspose,
    EdtTransposeLast,
    EdtSpatialWeights,
    EdtSpatialMix,
)

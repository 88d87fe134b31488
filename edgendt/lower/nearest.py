"""What to do about a refusal: the nearest form that is held, by the words of its reason or by the operator."""

from __future__ import annotations

from fnmatch import fnmatchcase

from edgendt.errors import UnsupportedOp
from edgendt.export.nodes import DOMAIN

NEAREST = "the nearest form that is held"
# By words of a reason.
REASONS = {
    "is in no opset import": "an opset import of that domain, of any version",
    "has the same name": "a name of its own for each node, or none",
    "has inconsistent type": "one type of numbers, float32, for whatever it computes with",
    "as the file says": "the type that it holds, or none, where the file says it",
    "the network must end in a Quant node behind at least one op": "a Quant of the output",
    "the counts must go through an unsigned Quant node first": "a Quant of the input",
    "its weights must go through a Quant node": "a Quant of the weights",
    "its weights must have one scale, or one per output": "a scale per tensor or per output channel, not per input",
    "its scale must be one number, it has several": "a scale per tensor, for activations",
    "its rounding_mode must be ROUND (ties to even)": "ROUND, the default of Brevitas and ONNX",
    "activations must use the full range (narrow = 0)": "narrow range for weights only",
    "its format is chosen on calibration data (--calibrate)": "a Quant there, or a recording is given",
    "accumulator must stay within": "fewer bits, or as many as it says, as edgendt.accumulator in the file's metadata",
    "a Softmax is held only behind the scores q k^T of an attention": "one over keys, or log-rates without one",
    "a mask must let bin i see i - back..i + ahead": "no mask, a causal one, or a window around the bin",
    "a mask must add 0, or -1000 or less, to a score": "no bias of scores (ALiBi, relative positions)",
    "a mask must add what no score outweighs": "-inf, or the lowest number, in the mask",
    "all heads must have one mask": "the mask of one head for all",
    "scores must be scaled by 1/sqrt": "1/sqrt(d_h) times a power of two, the rest in the weights of q",
    "bits are not held": "at least 8 bits, or no Quant there",
    "attention is held over all bins, each head over channels of its own": "no channels, no other sequence",
    "only channels of a matrix product can be split, scaled or put in another order": "a split behind the product",
    "its input is an activation whose axes were moved": "[bins, channels] again before the next product",
    "activations times activations, element by element": "a function of one activation, no gates",
    "a function of one activation reads at most 8 bits": "a Quant of 8 bits before it",
    "a function is held of one activation": "one number for all channels (PRelu), of codes, not of scores",
    "the input must give its number of bins": "an export with fixed shapes, or --bins",
    "what a sum joins must be signed": "signed Quants before an Add and behind it",
}
# By names of operators, the first that fit; of any domain, since others' are mostly fused from these.
OPERATORS = {
    "its MatMul, Softmax, MatMul (an opset below 23, no fusions)": "*Attention*",
    "the Add and the LayerNormalization that it fuses": "Skip*Norm* Embed*Norm*",
    "a LayerNormalization over the last axis, its scale and bias constant": "LayerNormalization",
    "a LayerNormalization, or its factors folded into the next weights": "BatchNormalization",
    "a LayerNormalization": "*Normalization *Norm LRN",
    "log-rates without a normalisation or a choice": "Hardmax ArgMax ArgMin TopK NonZero OneHot",
    "a Softmax of scores q k^T over the last axis": "*Softmax",
    "a MatMul of each bin": "*Conv Conv* *ConvWith* *Pool DFT STFT",
    "causal attention": "*GRU *LSTM *RNN",
    "an export with fixed shapes, which has one branch": "If",
    "an export with fixed shapes, which is unrolled": "Loop Scan Sequence*",
    "an export with fixed shapes, which has it as a constant": "Shape Size Range ConstantOfShape EyeLike",
    "an export in evaluation mode": "*Dropout Random* Bernoulli Multinomial *Loss",
    "a Quant of 2 bits": "BipolarQuant",
    "the Quant that FINN made it of": "MultiThreshold",
    "a Quant of 1 to 32 bits with one positive scale and zero point 0": "Quant IntQuant FloatQuant Trunc",
    "QuantizeLinear, DequantizeLinear of one constant scale and zero point": "QuantizeLinear DequantizeLinear Clip "
    "DynamicQuantizeLinear",
    "the operator of floats between DequantizeLinear and QuantizeLinear": "QLinear* QGemm *Integer* Dynamic* *NBits",
    "a MatMul by signed weights behind a Quant, or one of an attention": "*MatMul *Gemm Einsum",
    "Gelu of opset 20, or its Erf or Tanh written out": "*Gelu",
    "the node Rotary of edgendt, or positions that are added": "RotaryEmbedding",
    "channels of a matrix product moved whole, and [bins, channels] again before the next": "Reshape Transpose Squeeze "
    "Unsqueeze Flatten Split* Slice Gather* Expand Concat* Pad Tile Scatter* Reverse* Resize Upsample CenterCropPad "
    "DepthToSpace SpaceToDepth",
    "an Add of two activations, a bias, a table [bins, channels] or a mask": "Add Sub Sum Mean",
    "a mask of known numbers": "Where Equal Less* Greater* And Or Not Xor Is* Trilu",
    "a mean of a LayerNorm or a sum of a Softmax over the last axis, other sums as MatMul": "Reduce* Cum*",
    "times one number or a LayerNorm's scale, or a function of one activation": "Mul Div",
    "a function of one activation of at most 8 bits (Gelu, Sigmoid, Tanh, Relu, ...)": "*Relu *Elu Elu Celu Selu "
    "*Sigmoid *Swish Mish Soft* Erf Exp Log Pow Sqrt Reciprocal Abs Neg Sign Min Max Mod Floor Ceil Round Shrink *Sin* "
    "*Cos* *Tan* Acos* Asin* Atan*",
    "float32": "Cast* Bit*",
    "a number or a tensor of numbers": "Constant",
}
OWN = "its attributes and inputs as docs/ops has them"
FUSED = "the standard operators that it stands for (no fusions)"
OTHER = "matrix products, sums, LayerNormalization, attention, functions of one activation (docs/qonnx.md)"


def form(kind: str, reason: str, domain: str = "") -> str:
    """The nearest form that is held."""
    for words, near in REASONS.items():
        if words in reason:
            return near
    if domain == DOMAIN:
        return OWN
    for near, names in OPERATORS.items():
        if any(fnmatchcase(kind, name) for name in names.split()):
            return near
    return FUSED if domain else OTHER


def refusal(kind: str, where: str, reason: str, domain: str = "") -> UnsupportedOp:
    """A node that is refused, why, and what is held instead."""
    return UnsupportedOp(kind, where, f"{reason}; {NEAREST}: {form(kind, reason, domain)}")

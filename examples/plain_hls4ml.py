"""An integer LayerNorm of edgendt between hls4ml's own layers: `python examples/plain_hls4ml.py [FOLDER]`.

Nothing of edgendt's flow is used but the op and its C++: the model is a plain hls4ml model of the Vitis backend, which
hls4ml itself writes, compiles with g++ and runs.
"""

from __future__ import annotations

import sys
from typing import Any

import hls4ml
import numpy as np

import edgendt.plugin.layers  # noqa: F401  (makes EdtLayerNorm a layer of hls4ml)
from edgendt.fixed import Int
from edgendt.ops import LayerNorm
from edgendt.ops.layernorm import RSQRT, eps_code

SIZE = 16
X, GAMMA, Y = Int(12, 6), Int(8, 6), Int(8, 4)
OP = LayerNorm(SIZE, X, GAMMA, Y, eps_code(SIZE, X))


def layers(gamma: Any, beta: Any) -> list[dict[str, Any]]:
    """An input, hls4ml's own linear activation, our LayerNorm. gamma, beta: integer codes."""
    norm = {"class_name": "EdtLayerNorm", "name": "norm", "inputs": ["act"], "size": SIZE, "unroll": 4}
    norm |= {"eps": OP.eps_code, "gamma_frac": GAMMA.frac, "gamma_data": gamma, "beta_data": beta}
    return [
        {"class_name": "InputLayer", "name": "x", "input_shape": [SIZE]},
        {"class_name": "Activation", "name": "act", "inputs": ["x"], "activation": "linear", "n_in": SIZE},
        norm | {"rsqrt_data": RSQRT[256:]},
    ]


def build(folder: str, gamma: Any, beta: Any) -> Any:
    """A plain hls4ml model."""
    stream, act = "fixed<12,6,RND_CONV,SAT>", "fixed<8,4,RND_CONV,SAT>"
    types = {"result": act, "gamma": "int<8>", "beta": "int<24>", "rsqrt": "uint<16>"}
    config = hls4ml.utils.config.create_config(output_dir=folder, backend="Vitis", io_type="io_parallel")
    config["HLSConfig"] = {
        "Model": {"Precision": "fixed<16,8>", "ReuseFactor": 1},
        "LayerName": {
            "x": {"Precision": {"result": "fixed<16,6>"}},
            "act": {"Precision": {"result": stream}},
            "norm": {"Precision": types},
        },
    }
    return hls4ml.model.graph.ModelGraph.from_layer_list(config, layers(gamma, beta), inputs=["x"], outputs=["norm"])


def main(folder: str = "plain_hls4ml") -> int:
    rng = np.random.default_rng(0)
    gamma, beta = rng.integers(30, 90, SIZE), rng.integers(-(2**14), 2**14, SIZE)
    model = build(folder, gamma, beta)
    model.compile()
    codes = rng.integers(X.lo, X.hi + 1, (200, SIZE))
    found = model.predict(np.ascontiguousarray(codes * X.scale)) / Y.scale
    wanted = OP.run(codes, gamma=gamma, beta=beta)
    wrong = int((found.reshape(wanted.shape) != wanted).sum())
    print(f"{wanted.size} codes of hls4ml's compiled model against the op, {wrong} differ")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

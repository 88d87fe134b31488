"""`backend="EdgeNDT"` of hls4ml: ModelGraphs to Programs and engine projects, and what is refused by name."""

from __future__ import annotations

import runpy
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from needs import ROOT, needs, needs_package

torch = needs_package("torch")
hls4ml = needs_package("hls4ml")
from torch import nn  # noqa: E402

from edgendt.engine.image import Image  # noqa: E402
from edgendt.errors import BadInput, DoesNotFit, UnsupportedOp  # noqa: E402
from edgendt.fixed import Int  # noqa: E402
from edgendt.ops.table import gelu, tabulate  # noqa: E402
from edgendt.plugin import NAME  # noqa: E402
from edgendt.program import Program  # noqa: E402

STREAM, ACT = "fixed<12,6,RND_CONV,SAT>", "fixed<8,4,RND_CONV,SAT>"


class Decoder(nn.Module):
    """A pre-LN feed-forward block, all that hls4ml's own PyTorch front end understands of a transformer."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)  # what fits a type depends on the weights
        self.embed, self.ln, self.f1, self.r = nn.Linear(12, 16), nn.LayerNorm(16), nn.Linear(16, 24), nn.ReLU()
        self.f2, self.lnf, self.out = nn.Linear(24, 16), nn.LayerNorm(16), nn.Linear(16, 2)

    def forward(self, x: Any) -> Any:
        h = self.embed(x)
        h = h + self.f2(self.r(self.f1(self.ln(h))))
        return self.out(self.lnf(h))


def settings(network: nn.Module, shape: tuple[int, ...]) -> dict[str, Any]:
    """Types for every layer, as a user writes them."""
    config: dict[str, Any] = hls4ml.utils.config_from_pytorch_model(
        network, shape, "name", NAME, default_precision="fixed<16,8>", channels_last_conversion="off"
    )
    results = {"x": "ufixed<4,4>", "embed": STREAM, "f2": STREAM, "add": STREAM, "ln": ACT, "lnf": ACT}
    results |= {"f1": "auto", "r": "ufixed<8,4,RND_CONV,SAT>", "out": "fixed<16,8,RND_CONV,SAT>"}
    kinds = {"weight": "fixed<4,1,RND_CONV,SAT>", "bias": "fixed<8,2,RND_CONV,SAT>", "accum": "auto"}
    for name, layer in config["LayerName"].items():
        layer["Precision"] = {"result": results[name]} | (kinds if name in ("embed", "f1", "f2", "out") else {})
        if results[name] == ACT:
            layer["Precision"] |= {"scale": "fixed<8,2,RND_CONV,SAT>", "bias": "auto", "accum": "auto"}
    return config


def convert(network: nn.Module, folder: Path, config: dict[str, Any] | None = None, **more: Any) -> Any:
    shape = (20, 12)
    config = config or settings(network, shape)
    return hls4ml.converters.convert_from_pytorch_model(
        network, hls_config=config, backend=NAME, output_dir=str(folder), project_name="decoder", **more
    )


def test_hls4ml_finds_the_backend_by_its_entry_point() -> None:
    assert [one.value for one in entry_points(group="hls4ml.backends", name=NAME)] == ["edgendt.plugin:register"]
    assert NAME.lower() in hls4ml.backends.get_available_backends()


@pytest.mark.parametrize("first", ["edgendt.plugin.graph", "edgendt.firmware.layers"])
def test_the_backend_is_there_whatever_was_imported_before_hls4ml(first: str) -> None:
    asked = f"import {first}, hls4ml; print(hls4ml.backends.get_backend('{NAME}').name)"
    said = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    assert said.stdout == f"{NAME}\n"


def test_a_network_of_pytorch_becomes_an_engine_project(tmp_path: Path) -> None:
    model = convert(Decoder().eval(), tmp_path / "project")
    model.compile()
    program = Program.load(tmp_path / "project" / "program.edt")
    kinds = ["linear", "layernorm", "linear", "linear", "add", "layernorm", "linear"]
    assert [node.op.kind for node in program.nodes] == kinds
    assert Image.load(tmp_path / "project" / "image.edi").outputs == 2
    assert (tmp_path / "project" / "build.sh").exists() and list((tmp_path / "project" / "rtl").glob("edt_core.sv"))
    counts = np.random.default_rng(0).poisson(2.0, (3, 20, 12))
    wanted = np.stack([program.run(program.clip(trial)[0]) for trial in counts]) * program.output_format.scale
    np.testing.assert_array_equal(model.predict(counts), wanted.reshape(3, -1))


def test_a_qonnx_file_through_hls4mls_own_front_end_answers_as_brevitas(tmp_path: Path) -> None:
    """Weights, biases and activations with Quants of power-of-two scales, as an hls4ml user exports them."""
    needs_package("brevitas"), needs_package("qonnx")
    from brevitas import nn as qnn
    from brevitas.export import export_qonnx
    from brevitas.quant import Int8ActPerTensorFixedPoint as Act
    from brevitas.quant import Int8WeightPerTensorFixedPoint as Weight
    from brevitas.quant import Int16Bias
    from brevitas.quant import Uint8ActPerTensorFixedPoint as Unsigned
    from qonnx.core.modelwrapper import ModelWrapper
    from qonnx.transformation.gemm_to_matmul import GemmToMatMul
    from qonnx.util.cleanup import cleanup_model

    torch.manual_seed(0)
    linear = {"bias": True, "bias_quant": Int16Bias, "weight_quant": Weight, "weight_bit_width": 4}
    network = nn.Sequential(
        qnn.QuantIdentity(Unsigned, scaling_impl_type="const", scaling_init=255.0, return_quant_tensor=True),
        qnn.QuantLinear(6, 8, **linear),
        qnn.QuantReLU(Unsigned, return_quant_tensor=True),
        qnn.QuantLinear(8, 3, **linear),
        qnn.QuantIdentity(Act),
    )
    counts = torch.tensor(np.random.default_rng(0).poisson(2.0, (64, 6))).float()
    for _ in range(30):  # scales of what passes
        network(counts)
    export_qonnx(network.eval(), args=torch.zeros(1, 6), export_path=str(tmp_path / "mlp.onnx"))
    file = cleanup_model(cleanup_model(ModelWrapper(str(tmp_path / "mlp.onnx"))).transform(GemmToMatMul()))
    config = hls4ml.utils.config_from_onnx_model(file, "name", NAME, default_precision="fixed<16,6>")
    config["LayerName"][file.graph.input[0].name]["Precision"] = {"result": "ufixed<8,8>"}
    model = hls4ml.converters.convert_from_onnx_model(
        file, hls_config=config, backend=NAME, output_dir=str(tmp_path / "project")
    )
    model.compile()
    with torch.no_grad():
        np.testing.assert_array_equal(model.predict(counts.numpy().astype(float)), network(counts).numpy())


class Function(nn.Module):
    """GELU between two layers."""

    def __init__(self, approximate: str = "none") -> None:
        super().__init__()
        torch.manual_seed(0)
        self.f1, self.g, self.f2 = nn.Linear(12, 16), nn.GELU(approximate), nn.Linear(16, 2)

    def forward(self, x: Any) -> Any:
        return self.f2(self.g(self.f1(x)))


def with_gelu(folder: Path, read: str = ACT, **more: Any) -> Any:
    """The model of it. read: type of what the function reads."""
    import edgendt.plugin.layers  # noqa: F401

    network = Function().eval()
    config = hls4ml.utils.config_from_pytorch_model(network, (20, 12), "name", NAME, channels_last_conversion="off")
    results = {"x": "ufixed<4,4>", "f1": read, "g": ACT, "f2": "fixed<16,8,RND_CONV,SAT>"}
    kinds = {"weight": "fixed<4,1,RND_CONV,SAT>", "bias": "fixed<8,2,RND_CONV,SAT>", "accum": "auto"}
    for name, layer in config["LayerName"].items():
        layer["Precision"] = {"result": results[name]} | (kinds if name in ("f1", "f2") else {})
    return convert(network, folder, config, **more)


def test_gelu_is_a_table_on_an_engine_that_holds_it(tmp_path: Path) -> None:
    model = with_gelu(tmp_path / "project")
    model.compile()
    program = Program.load(tmp_path / "project" / "program.edt")
    op, act = program.node("g").op, Int(8, 4)
    assert [node.op.kind for node in program.nodes] == ["linear", "table", "linear"] and (op.x, op.y) == (act, act)
    np.testing.assert_array_equal(program.node("g").constants["table"], tabulate(gelu, act, act))
    assert Image.load(tmp_path / "project" / "image.edi").engine["Tokens"] == 1
    counts = np.random.default_rng(0).poisson(2.0, (20, 12))
    wanted = program.run(program.clip(counts)[0]) * program.output_format.scale
    np.testing.assert_array_equal(model.predict(counts[None]), wanted.ravel())


def test_gelu_is_refused_by_name_where_it_is_not_held(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedOp, match=r"table at g is not supported: an engine looks functions up .* `tokens`"):
        with_gelu(tmp_path / "project", engine="small").write()
    with pytest.raises(DoesNotFit, match="no named engine on icebreaker holds the network: take --board ulx3s-85f"):
        with_gelu(tmp_path / "project", board="icebreaker").write()
    with pytest.raises(UnsupportedOp, match=r"Activation at g .*: give the layer before it a result of 8 bits"):
        with_gelu(tmp_path / "project", read=STREAM).write()
    assert not (tmp_path / "project").exists()


def test_gelu_of_another_kind_or_for_another_backend_is_refused_by_name() -> None:
    import edgendt.plugin.layers  # noqa: F401

    with pytest.raises(UnsupportedOp, match="GELU at g is not supported: the table is of the function itself"):
        hls4ml.utils.config_from_pytorch_model(Function("tanh").eval(), (20, 12), "name", NAME)
    config = hls4ml.utils.config_from_pytorch_model(Function().eval(), (20, 12), "name", "Vitis")
    with pytest.raises(UnsupportedOp, match="GELU at g is not supported: hls4ml has no GELU for Vitis"):
        hls4ml.converters.convert_from_pytorch_model(Function().eval(), hls_config=config, backend="Vitis")


def test_board_and_engine_are_options_of_the_conversion(tmp_path: Path) -> None:
    model = convert(Decoder().eval(), tmp_path / "project", board="icebreaker", engine="tiny")
    model.write()
    assert "ice40" in (tmp_path / "project" / "build.sh").read_text()
    assert Image.load(tmp_path / "project" / "image.edi").engine["Lanes"] == 4
    with pytest.raises(BadInput, match="board 'none' is not known"):
        convert(Decoder().eval(), tmp_path / "project", board="none").write()


def changed(layer: str, **precision: str) -> dict[str, Any]:
    config = settings(Decoder().eval(), (20, 12))
    config["LayerName"][layer]["Precision"] |= precision
    return config


@pytest.mark.parametrize(
    ("config", "said"),
    [
        (changed("x", result="fixed<8,4>"), "Input at x is not supported: counts are whole and not negative"),
        (changed("embed", result="fixed<12,10>"), r"Dense at embed .* loses bits: give it a result of RND_CONV,SAT"),
        (changed("embed", accum="fixed<8,7>"), "Dense at embed .* its accumulator .* loses bits"),
        (changed("embed", weight="fixed<4,-3>"), "Dense at embed .* its weight leave their type"),
        (changed("add", result="fixed<10,6,RND_CONV,SAT>"), "Merge at add .* must have one type"),
        (changed("r", result="ufixed<8,4>"), "Activation at r .* loses bits"),
        (changed("ln", result="fixed<8,4>"), "LayerNormalization at ln .* must be of RND_CONV,SAT"),
    ],
)
def test_types_that_lose_bits_are_refused_by_layer(config: dict[str, Any], said: str, tmp_path: Path) -> None:
    with pytest.raises(UnsupportedOp, match=said):
        convert(Decoder().eval(), tmp_path, config).compile()


def test_layers_that_the_engine_lacks_are_all_named_at_once(tmp_path: Path) -> None:
    network = nn.Sequential(nn.Linear(12, 8), nn.Tanh(), nn.Linear(8, 4), nn.Sigmoid()).eval()
    config = hls4ml.utils.config_from_pytorch_model(network, (12,), "name", NAME, channels_last_conversion="off")
    with pytest.raises(UnsupportedOp, match=r"Input at input_1 .* got tanh; .* got sigmoid"):
        convert(network, tmp_path, config).compile()


def test_the_ops_serve_plain_hls4ml(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    needs("g++")
    example = runpy.run_path(str(ROOT / "examples" / "plain_hls4ml.py"))
    assert example["main"](str(tmp_path / "project")) == 0
    assert "3200 codes of hls4ml's compiled model against the ops, 0 differ" in capsys.readouterr().out

"""The register map is one: Python, RTL and page."""

import re

from edgendt.engine.registers import BYTES, MAGIC, MAP_VERSION, Register
from edgendt.tools import share

RTL = (share("hls") / "rtl" / "edt_axi_regs.sv").read_text()
PAGE = (share("hls").parent / "docs" / "axi.md").read_text()


def test_the_rtl_has_these_registers_and_no_other():
    found = {name: int(at, 16) for name, at in re.findall(r"Reg(\w+) = 12'h(\w+)", RTL)}
    assert found == {register.name.title().replace("_", ""): register for register in Register}
    assert int(re.findall(r"Magic = 32'h(\w+)", RTL)[0].replace("_", ""), 16) == MAGIC
    assert f"MapVersion = 8'd{MAP_VERSION};" in RTL and BYTES == 1 << 12


def test_the_page_has_these_registers_and_no_other():
    rows = re.findall(r"^\| `(\w\w)` \| (\w+) \|", PAGE, re.MULTILINE)
    assert [(int(at, 16), name) for at, name in rows] == [(register, register.name) for register in Register]

"""Starts the bench of edt_chain."""

import pytest
from bench import build, mutate, rejects, rtl, simulate
from needs import needs

SOURCES = rtl("edt_chain")


def shape(words, pipes, packed, splits):
    parameters = {"Words": words, "Pipes": pipes, "Packed": packed, "Splits": splits}
    return parameters, {"words": words, "pipes": pipes, "packed": packed, "splits": splits}


@pytest.mark.parametrize("sizes", [(5, 2, 0, 1), (3, 2, 1, 1), (6, 4, 0, 2), (4, 2, 1, 2), (8, 4, 1, 4), (16, 8, 1, 8)])
def test_words_leave_in_flat_order(sizes):
    needs("verilator")
    parameters, case = shape(*sizes)
    simulate("chain_bench", "edt_chain", build("edt_chain", SOURCES, parameters), case)


@pytest.mark.parametrize(
    "old, new",
    [
        ("high_i[(w+1-(Words>>s))*WordBits+:WordBits]", "high_i[w*WordBits+:WordBits]"),
        ("(w + 1) % (Words >> s) == 0", "(w + 1) % Words == 0"),
        ("low_i[(g*(Words/Splits)*Pipes+p)", "low_i[((g*(Words/Splits)+1)%Words*Pipes+p)"),
        ("g % (Splits >> s) == 0", "g % (Splits >> s) == 1"),
        ("sum_q[Levels-1][0] + sum_q[Levels-1][1]", "sum_q[Levels-1][0]"),
    ],
)
def test_the_bench_rejects_a_fault(old, new):
    needs("verilator")
    parameters, case = shape(8, 4, 1, 4)
    assert rejects("chain_bench", "edt_chain", mutate(SOURCES, old, new), parameters, case)

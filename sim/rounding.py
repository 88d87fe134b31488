"""Rounding faults that several tests seed into the RTL: (right, wrong) for `bench.mutate`."""

TIE = "(rest || fine_d[2])"  # edt_round, which every rounding goes through
SFU, GAMMA = ".a_i(p9_q)", ".a_i(y16_q)"  # edt_sfu: LayerNorm's t and attention's division; t * gamma + beta

# A last bit set, or an even number less one: a tie is none, and from a shift of two on no other value rounds otherwise.
ROUND = {"every tie goes up": (TIE, "(rest || 1'b1)"), "every tie goes down": (TIE, "rest")}
FIRST = {
    "the unit's first rounding takes ties up": (SFU, ".a_i(floor9_i ? p9_q : p9_q | 44'd1)"),
    "the unit's first rounding takes ties down": (SFU, ".a_i(floor9_i ? p9_q : p9_q - 44'(!p9_q[0]))"),
}
SECOND = {
    "ties of t * gamma + beta go up": (GAMMA, ".a_i(shift16_i > 6'd1 ? y16_q | 27'd1 : y16_q)"),
    "ties of t * gamma + beta go down": (GAMMA, ".a_i(shift16_i > 6'd1 ? y16_q - 27'(!y16_q[0]) : y16_q)"),
}

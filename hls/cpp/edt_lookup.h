// Lookup: y = saturate(table[entry] + kinds[which]), the embedding of a token. Reference: edgendt/ops/lookup.py.
#ifndef EDT_LOOKUP_H_
#define EDT_LOOKUP_H_

#include "edt_fixed.h"

namespace edt {

// CONFIG_T: size; entries (rows of table); which (rows of kinds); step, pairs (entry = row * step + which * pairs);
// unroll; table_t, kinds_t (integer codes of y's format).
// x: row and which. The caller refuses a token that no table has: here the indices only stay inside the tables.
template <class x_T, class y_T, class CONFIG_T>
void lookup(x_T x[2], y_T y[CONFIG_T::size], const typename CONFIG_T::table_t table[CONFIG_T::entries * CONFIG_T::size],
            const typename CONFIG_T::kinds_t kinds[CONFIG_T::which * CONFIG_T::size]) {
#pragma HLS INLINE OFF
#pragma HLS ARRAY_RESHAPE variable=table cyclic factor=CONFIG_T::unroll
#pragma HLS ARRAY_RESHAPE variable=kinds cyclic factor=CONFIG_T::unroll
    static_assert(CONFIG_T::size > 0 && CONFIG_T::entries > 0 && CONFIG_T::which > 0, "sizes must be positive");
    static_assert(CONFIG_T::size % CONFIG_T::unroll == 0, "unroll must divide size");
    static_assert(format<x_T>::frac == 0 && !format<x_T>::is_signed, "a token is a pair of unsigned numbers");
    static_assert(CONFIG_T::step >= 0 && CONFIG_T::pairs >= 0, "a token's row must not be negative");
    const int sum_bits = larger(sint<typename CONFIG_T::table_t>::bits, sint<typename CONFIG_T::kinds_t>::bits) + 1;
    const int row = int(code(x[0])), which = int(code(x[1]));
    const int entry = row * int(CONFIG_T::step) + which * int(CONFIG_T::pairs);
    const int first = (entry < int(CONFIG_T::entries) ? entry : 0) * int(CONFIG_T::size);
    const int kind = (which < int(CONFIG_T::which) ? which : 0) * int(CONFIG_T::size);
EDT_LABEL(Elements)
    for (int i = 0; i < int(CONFIG_T::size); i++) {
#pragma HLS PIPELINE II=1
#pragma HLS UNROLL factor=CONFIG_T::unroll
        EDT_BEAT(CONFIG_T::unroll);
        const ap_int<sum_bits> sum = integer(table[first + i]) + integer(kinds[kind + i]);
        y[i] = saturate<y_T>(sum);
    }
}

} // namespace edt

#endif

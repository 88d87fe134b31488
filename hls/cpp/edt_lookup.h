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
    static_assert(CONFIG_T::unroll > 0 && CONFIG_T::size % CONFIG_T::unroll == 0, "unroll must be positive and divide size");
    static_assert(format<x_T>::frac == 0 && !format<x_T>::is_signed, "a token is a pair of unsigned numbers");
    static_assert(CONFIG_T::step >= 0 && CONFIG_T::pairs >= 0, "a token's row must not be negative");
    typedef typename CONFIG_T::table_t table_T;
    typedef typename CONFIG_T::kinds_t kinds_T;
    static_assert(format<table_T>::bits == format<y_T>::bits && format<table_T>::frac == 0 &&
                      format<table_T>::is_signed == format<y_T>::is_signed,
                  "an entry of the table is a code of y");
    static_assert(format<kinds_T>::bits == format<y_T>::bits && format<kinds_T>::frac == 0 &&
                      format<kinds_T>::is_signed == format<y_T>::is_signed,
                  "an entry of the kinds is a code of y");
    const int sum_bits = larger(sint<table_T>::bits, sint<kinds_T>::bits) + 1;
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

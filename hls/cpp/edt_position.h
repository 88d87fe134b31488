// Position: y = saturate(x + table[bin]); the bin counts calls since the last reset. Reference: edgendt/ops/position.py.
#ifndef EDT_POSITION_H_
#define EDT_POSITION_H_

#include "edt_fixed.h"

namespace edt {

// CONFIG_T: size; bins (rows of the table); unroll; table_t. reset: 1 says that this call is bin 0.
// The caller refuses a bin past the last row: here the index only stays inside the table.
template <class x_T, class reset_T, class y_T, class CONFIG_T>
void position(x_T x[CONFIG_T::size], reset_T reset[1], y_T y[CONFIG_T::size],
              const typename CONFIG_T::table_t table[CONFIG_T::bins * CONFIG_T::size]) {
#pragma HLS INLINE OFF
#pragma HLS ARRAY_RESHAPE variable=table cyclic factor=CONFIG_T::unroll
    typedef typename CONFIG_T::table_t table_T; // integer codes in the format of y
    static_assert(CONFIG_T::size > 0 && CONFIG_T::bins > 0, "size and bins must be positive");
    static_assert(CONFIG_T::unroll > 0 && CONFIG_T::size % CONFIG_T::unroll == 0, "unroll must be positive and divide size");
    static_assert(format<x_T>::frac == format<y_T>::frac, "the position is added in the residual format");
    static_assert(format<table_T>::bits == format<y_T>::bits && format<table_T>::frac == 0 &&
                      format<table_T>::is_signed == format<y_T>::is_signed,
                  "an entry of the table is a code of y");
    const int sum_bits = larger(sint<x_T>::bits, sint<table_T>::bits) + 1;
    static ap_uint<index_bits(CONFIG_T::bins)> next = 0;
#pragma HLS RESET variable=next
    const unsigned bin = reset[0] != 0 ? 0u : unsigned(next);
EDT_LABEL(Elements)
    for (unsigned i = 0; i < CONFIG_T::size; i++) {
#pragma HLS PIPELINE II=1
#pragma HLS UNROLL factor=CONFIG_T::unroll
        EDT_BEAT(CONFIG_T::unroll);
        const ap_int<sum_bits> sum = integer(x[i]) + integer(table[bin * CONFIG_T::size + i]);
        y[i] = saturate<y_T>(sum);
    }
    next = bin + 1 < CONFIG_T::bins ? bin + 1 : bin;
}

} // namespace edt

#endif

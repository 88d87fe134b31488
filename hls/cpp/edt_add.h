// Residual add: y = saturate(h + x), all three in the residual format. Reference: edgendt/ops/add.py.
#ifndef EDT_ADD_H_
#define EDT_ADD_H_

#include "edt_fixed.h"

namespace edt {

// CONFIG_T: size; unroll (elements per cycle).
template <class h_T, class x_T, class y_T, class CONFIG_T>
void add(h_T h[CONFIG_T::size], x_T x[CONFIG_T::size], y_T y[CONFIG_T::size]) {
#pragma HLS INLINE OFF
    static_assert(CONFIG_T::size > 0, "size must be positive");
    static_assert(CONFIG_T::unroll > 0 && CONFIG_T::size % CONFIG_T::unroll == 0, "unroll must be positive and divide size");
    static_assert(format<h_T>::frac == format<y_T>::frac && format<x_T>::frac == format<y_T>::frac,
                  "the residual stream has one format");
    const int sum_bits = larger(sint<h_T>::bits, sint<x_T>::bits) + 1;
EDT_LABEL(Elements)
    for (unsigned i = 0; i < CONFIG_T::size; i++) {
#pragma HLS PIPELINE II=1
#pragma HLS UNROLL factor=CONFIG_T::unroll
        EDT_BEAT(CONFIG_T::unroll);
        const ap_int<sum_bits> sum = integer(h[i]) + integer(x[i]);
        y[i] = saturate<y_T>(sum);
    }
}

} // namespace edt

#endif

// Each channel takes a weighted sum of all channels of its bin, narrowed once. Reference: edgendt/ops/spatial_mix.py.
#ifndef EDT_SPATIAL_MIX_H_
#define EDT_SPATIAL_MIX_H_

#include "edt_fixed.h"

namespace edt {

// CONFIG_T: size (channels); bins; unroll (channels per cycle). a: [size * size]; z, y: [bins * size].
template <class a_T, class z_T, class y_T, class CONFIG_T>
void spatial_mix(a_T a[CONFIG_T::size * CONFIG_T::size], z_T z[CONFIG_T::bins * CONFIG_T::size],
                 y_T y[CONFIG_T::bins * CONFIG_T::size]) {
#pragma HLS INLINE OFF
    const int size = CONFIG_T::size;
    static_assert(size > 0 && CONFIG_T::bins > 0, "sizes must be positive");
    static_assert(CONFIG_T::unroll > 0 && size % CONFIG_T::unroll == 0, "unroll must be positive and divide size");
    const int sum_bits = sint<a_T>::bits + sint<z_T>::bits + bit_length(size);
EDT_LABEL(Bins)
    for (int bin = 0; bin < CONFIG_T::bins; bin++) {
    EDT_LABEL(Channels)
        for (int i = 0; i < size; i++) {
            ap_int<sum_bits> sum = 0;
        EDT_LABEL(Sum)
            for (int j = 0; j < size; j++) {
#pragma HLS PIPELINE II=1
#pragma HLS UNROLL factor=CONFIG_T::unroll
                EDT_BEAT(CONFIG_T::unroll);
                sum += integer(a[i * size + j]) * integer(z[bin * size + j]);
            }
            y[bin * size + i] = narrow<format<a_T>::frac + format<z_T>::frac - format<y_T>::frac, y_T>(sum);
        }
    }
}

} // namespace edt

#endif

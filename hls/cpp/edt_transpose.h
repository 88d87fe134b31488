// Transpose of a whole window: y = x^T, no code changes; in a stream, of the bins up to this one.
// Reference: edgendt/ops/transpose.py.
#ifndef EDT_TRANSPOSE_H_
#define EDT_TRANSPOSE_H_

#include "edt_fixed.h"

namespace edt {

// CONFIG_T: bins; channels. x: [bins * channels]; y: [channels * bins].
template <class x_T, class y_T, class CONFIG_T>
void transpose(x_T x[CONFIG_T::bins * CONFIG_T::channels], y_T y[CONFIG_T::channels * CONFIG_T::bins]) {
#pragma HLS INLINE OFF
    static_assert(CONFIG_T::bins > 0 && CONFIG_T::channels > 0, "sizes must be positive");
    static_assert(format<x_T>::frac == format<y_T>::frac && format<x_T>::bits == format<y_T>::bits &&
                      format<x_T>::is_signed == format<y_T>::is_signed,
                  "a transpose changes no format");
EDT_LABEL(Bins)
    for (int bin = 0; bin < CONFIG_T::bins; bin++) {
        for (int i = 0; i < CONFIG_T::channels; i++) {
#pragma HLS PIPELINE II=1
            EDT_BEAT(1);
            y[i * CONFIG_T::bins + bin] = value<y_T>(code(x[bin * CONFIG_T::channels + i]));
        }
    }
}

// The same of the last `bins` bins, which are kept: x [channels] of this one; y: [channels * bins].
// reset: 1 says that this call is bin 0, before which all is zero.
template <class x_T, class reset_T, class y_T, class CONFIG_T>
void transpose_last(x_T x[CONFIG_T::channels], reset_T reset[1], y_T y[CONFIG_T::channels * CONFIG_T::bins]) {
#pragma HLS INLINE OFF
    static_assert(CONFIG_T::bins > 0 && CONFIG_T::channels > 0, "sizes must be positive");
    static_assert(format<x_T>::frac == format<y_T>::frac && format<x_T>::bits == format<y_T>::bits &&
                      format<x_T>::is_signed == format<y_T>::is_signed,
                  "a transpose changes no format");
    static typename sint<x_T>::type kept[CONFIG_T::channels][CONFIG_T::bins]; // the newest last
EDT_LABEL(Channels)
    for (int i = 0; i < CONFIG_T::channels; i++) {
        for (int bin = 0; bin < CONFIG_T::bins; bin++) {
#pragma HLS PIPELINE II=1
            EDT_BEAT(1);
            typename sint<x_T>::type next = integer(x[i]);
            if (bin + 1 < CONFIG_T::bins) {
                next = reset[0] != 0 ? typename sint<x_T>::type(0) : kept[i][bin + 1];
            }
            kept[i][bin] = next;
            y[i * CONFIG_T::bins + bin] = value<y_T>(next);
        }
    }
}

} // namespace edt

#endif

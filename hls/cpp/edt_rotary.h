// Rotary position of one row: every pair of channels turns by time * step. The time counts calls since the last reset, in
// 16 bits that wrap without loss, or comes with the row. Reference: edgendt/ops/rotary.py.
#ifndef EDT_ROTARY_H_
#define EDT_ROTARY_H_

#include "edt_fixed.h"

namespace edt {

// CONFIG_T: size; pairs (of a head); inverse (1: the other way); unroll (pairs per cycle); steps_t, cos_t (integer codes).
// x, y: [size]; steps: [pairs]; cosine: [1024], fraction 10, as in the reference.
template <class x_T, class y_T, class CONFIG_T>
void turn(x_T x[CONFIG_T::size], ap_uint<16> time, y_T y[CONFIG_T::size],
          const typename CONFIG_T::steps_t steps[CONFIG_T::pairs], const typename CONFIG_T::cos_t cosine[1024]) {
#pragma HLS INLINE
#pragma HLS ARRAY_RESHAPE variable=steps cyclic factor=CONFIG_T::unroll
    const int size = CONFIG_T::size;
    const int pairs = CONFIG_T::pairs;
    static_assert(pairs > 0 && size % (2 * pairs) == 0, "size must be heads of `pairs` pairs");
    static_assert(CONFIG_T::unroll > 0 && pairs % CONFIG_T::unroll == 0,
                  "unroll must be positive and divide the pairs of a head");
    typedef format<typename CONFIG_T::steps_t> step;
    typedef format<typename CONFIG_T::cos_t> entry;
    static_assert(CONFIG_T::inverse == 0 || CONFIG_T::inverse == 1, "inverse must be 0 or 1");
    static_assert(step::bits == 16 && step::frac == 0 && !step::is_signed, "a step is an unsigned whole number of 16 bits");
    static_assert(entry::bits >= 12 && entry::frac == 0 && entry::is_signed, "a cosine is a signed whole number of 12 bits");
    typedef ap_int<format<typename CONFIG_T::cos_t>::bits + 1> sin_t;
    const int sum_bits = sint<x_T>::bits + format<typename CONFIG_T::cos_t>::bits + 1;
    const int shift = 10 + format<x_T>::frac - format<y_T>::frac;

EDT_LABEL(Heads)
    for (int head = 0; head < size; head += 2 * pairs) {
    EDT_LABEL(Pairs)
        for (int i = 0; i < pairs; i++) {
#pragma HLS PIPELINE II=1
#pragma HLS UNROLL factor=CONFIG_T::unroll
            EDT_BEAT(CONFIG_T::unroll);
            const ap_uint<16> phase = time * steps[i];
            const ap_uint<16> nearest = phase + 32;
            const ap_uint<10> a = nearest >> 6;
            const ap_uint<10> quarter = a - 256;
            const typename CONFIG_T::cos_t cos = cosine[int(a)];
            const sin_t entry = cosine[int(quarter)];
            const sin_t sin = CONFIG_T::inverse ? sin_t(-entry) : sin_t(entry);
            const typename sint<x_T>::type even = integer(x[head + 2 * i]), odd = integer(x[head + 2 * i + 1]);
            const ap_int<sum_bits> turned = even * cos - odd * sin;
            const ap_int<sum_bits> across = even * sin + odd * cos;
            y[head + 2 * i] = narrow<shift, y_T>(turned);
            y[head + 2 * i + 1] = narrow<shift, y_T>(across);
        }
    }
}

// reset: 1 says that this call is time 0.
template <class x_T, class reset_T, class y_T, class CONFIG_T>
void rotary(x_T x[CONFIG_T::size], reset_T reset[1], y_T y[CONFIG_T::size],
            const typename CONFIG_T::steps_t steps[CONFIG_T::pairs], const typename CONFIG_T::cos_t cosine[1024]) {
#pragma HLS INLINE OFF
    static ap_uint<16> next = 0;
#pragma HLS RESET variable=next
    const ap_uint<16> time = reset[0] != 0 ? ap_uint<16>(0) : next;
    turn<x_T, y_T, CONFIG_T>(x, time, y, steps, cosine);
    next = time + 1;
}

// time: of this row.
template <class x_T, class time_T, class y_T, class CONFIG_T>
void rotary_at(x_T x[CONFIG_T::size], time_T time[1], y_T y[CONFIG_T::size],
               const typename CONFIG_T::steps_t steps[CONFIG_T::pairs], const typename CONFIG_T::cos_t cosine[1024]) {
#pragma HLS INLINE OFF
    static_assert(format<time_T>::frac == 0 && !format<time_T>::is_signed, "a time is an unsigned whole number");
    turn<x_T, y_T, CONFIG_T>(x, ap_uint<16>(code(time[0])), y, steps, cosine);
}

} // namespace edt

#endif

// The sums of a Dense in plain integers, which a computer adds many of at a time: fast emulation, never synthesised.
#ifndef EDT_PLAIN_H_
#define EDT_PLAIN_H_

#include "edt_fixed.h"

#include <type_traits>

namespace edt {

// A kernel for hls4ml's Dense. The weights are read once.
template <class x_T, class y_T, class CONFIG_T> struct PlainKernel {
    typedef typename CONFIG_T::weight_t weight_T;
    typedef typename CONFIG_T::accum_t accum_T;
    static const bool small = sint<x_T>::bits <= 16 && sint<weight_T>::bits <= 16 && format<accum_T>::bits <= 32;
    typedef typename std::conditional<small, short, long long>::type factor_t;
    typedef typename std::conditional<small, int, long long>::type sum_t;

    static void dense(x_T x[CONFIG_T::n_in], y_T y[CONFIG_T::n_out], const weight_T weights[CONFIG_T::n_in * CONFIG_T::n_out],
                      const typename CONFIG_T::bias_t biases[CONFIG_T::n_out]) {
        const int inputs = CONFIG_T::n_in, outputs = CONFIG_T::n_out;
        static factor_t w[inputs * outputs];
        static bool known = false;
        for (int i = 0; i < inputs * outputs && !known; i++) {
            w[i] = factor_t(integer(weights[i]).to_int64());
        }
        known = true;
        factor_t in[inputs];
        for (int i = 0; i < inputs; i++) {
            in[i] = factor_t(integer(x[i]).to_int64());
        }
        for (int o = 0; o < outputs; o++) {
            sum_t sum = 0;
            for (int i = 0; i < inputs; i++) {
                sum += sum_t(in[i]) * sum_t(w[o * inputs + i]);
            }
            accum_T total = biases[o];
            total += value<accum_T>(typename format<accum_T>::code_t(sum));
            y[o] = total;
        }
    }
};

} // namespace edt

#endif

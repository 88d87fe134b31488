// What makes hls4ml's own Dense layer the integer Linear: its types. Reference: edgendt/ops/linear.py.
//
// Dense adds products and bias in accum_t and casts the sum once to the result type. With an accumulator that holds every
// product's last bit and every possible sum, and a result type that rounds ties to even and saturates, that cast is
// narrow(acc, x.frac + w.frac - y.frac, Y), for either sign of the shift; an unsigned result is the ReLU.
#ifndef EDT_LINEAR_H_
#define EDT_LINEAR_H_

#include "edt_fixed.h"
#include "nnet_dense.h"

// The kernel that a Dense's config names: hls4ml's, or in fast emulation ours. That of Algorithmic C types is a function.
#ifdef EDT_FAST
#include "edt_plain.h"
#define EDT_KERNEL(name) edt::PlainKernel
#elif defined(EDT_AC_H_)
#define EDT_KERNEL(name) edt::ResourceKernel
#else
#define EDT_KERNEL(name) nnet::name
#endif

namespace edt {

#ifdef EDT_AC_H_
template <class x_T, class y_T, class CONFIG_T> struct ResourceKernel {
    template <class weight_T, class bias_T>
    static void dense(x_T x[CONFIG_T::n_in], y_T y[CONFIG_T::n_out], weight_T *weights, bias_T *biases) {
        nnet::dense_resource<x_T, y_T, CONFIG_T>(x, y, weights, biases);
    }
};
#endif

// Instantiate for each Dense of a network: it does not compile unless the layer is exact. ACC_BITS: a bound the Program
// proved for |acc| of this layer's weights, sign included.
template <class x_T, class y_T, class CONFIG_T, int ACC_BITS> struct linear_is_exact {
    typedef format<typename CONFIG_T::accum_t> acc;
    typedef format<typename CONFIG_T::weight_t> weight;
    typedef format<typename CONFIG_T::bias_t> bias;
    static_assert(format<y_T>::ties_to_even, "the result type must round ties to even (AP_RND_CONV)");
    static_assert(format<y_T>::saturates, "the result type must saturate (AP_SAT)");
    static_assert(acc::is_signed, "the accumulator must be signed");
    static_assert(acc::frac == format<x_T>::frac + weight::frac, "the accumulator must keep every product's last bit");
    static_assert(acc::bits >= ACC_BITS, "the accumulator must hold every sum the weights can make");
    static_assert(bias::frac == acc::frac && bias::bits <= acc::bits, "the bias must be in the accumulator's format");
    static const bool value = true;
};

// A checked Dense. x: [n_in], y: [n_out], weights as hls4ml stores them for the layer's strategy, biases: [n_out]; const
// where the backend declares them so.
template <class x_T, class y_T, class CONFIG_T, int ACC_BITS, class weight_T, class bias_T>
void linear(x_T x[CONFIG_T::n_in], y_T y[CONFIG_T::n_out], weight_T weights[CONFIG_T::n_in * CONFIG_T::n_out],
            bias_T biases[CONFIG_T::n_out]) {
#pragma HLS INLINE
    static_assert(linear_is_exact<x_T, y_T, CONFIG_T, ACC_BITS>::value, "");
    CONFIG_T::template kernel<x_T, y_T, CONFIG_T>::dense(x, y, weights, biases);
}

} // namespace edt

#endif

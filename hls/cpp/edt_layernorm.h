// LayerNorm in integers through a table of 768 reciprocal square roots. Reference: edgendt/ops/layernorm.py.
#ifndef EDT_LAYERNORM_H_
#define EDT_LAYERNORM_H_

#include "edt_fixed.h"

namespace edt {

// CONFIG_T: size; eps (code added to the variance); unroll; gamma_frac; gamma_t, beta_t, rsqrt_t (integer codes).
// rsqrt: entries 256..1023 of the reference's table.
template <class x_T, class y_T, class CONFIG_T>
void layernorm(x_T x[CONFIG_T::size], y_T y[CONFIG_T::size], const typename CONFIG_T::gamma_t gamma[CONFIG_T::size],
               const typename CONFIG_T::beta_t beta[CONFIG_T::size], const typename CONFIG_T::rsqrt_t rsqrt[768]) {
#pragma HLS INLINE OFF
#pragma HLS ARRAY_RESHAPE variable=gamma cyclic factor=CONFIG_T::unroll
#pragma HLS ARRAY_RESHAPE variable=beta cyclic factor=CONFIG_T::unroll
    typedef sint<x_T> in;
    typedef format<typename CONFIG_T::gamma_t> gamma_f;
    typedef format<typename CONFIG_T::beta_t> beta_f;
    const int size = CONFIG_T::size;
    static_assert(size > 0 && size <= 1024, "size must be 1..1024");
    static_assert(CONFIG_T::unroll > 0 && CONFIG_T::size % CONFIG_T::unroll == 0, "unroll must be positive and divide size");
    static_assert(CONFIG_T::eps >= 1, "eps must be at least 1, so that the variance is never 0");
    static_assert(gamma_f::frac == 0 && beta_f::frac == 0, "gamma and beta are integer codes");
    typedef format<typename CONFIG_T::rsqrt_t> root;
    static_assert(root::bits >= 15 && root::frac == 0 && !root::is_signed, "a root is an unsigned whole number of 15 bits");

    const int size_bits = bit_length(size);
    const int s1_bits = in::bits + size_bits;                     // |S1| <= d 2^(bits-1)
    const int s2_bits = 2 * in::bits + size_bits;                 // 0 <= S2 <= d 2^(2 bits-2)
    const int v_bits = larger(s2_bits + size_bits, bit_length(CONFIG_T::eps)) + 2;
    const int c_bits = in::bits + size_bits + 1;                  // d x - S1
    const int product_bits = c_bits + 17;                         // times an unsigned entry of at most 16 bits
    const int t_bits = 15 + (size_bits + 1) / 2;                  // |t| <= 2^12 sqrt(d-1) and the table's 0.1 %
    const int sum_bits = larger(gamma_f::bits + t_bits, beta_f::bits) + 1;
    static_assert(v_bits <= 64, "the variance must fit 64 bits");

    ap_int<s1_bits> s1 = 0;
    ap_int<s2_bits> s2 = 0;
EDT_LABEL(Statistics)
    for (int i = 0; i < size; i++) {
#pragma HLS PIPELINE II=1
#pragma HLS UNROLL factor=CONFIG_T::unroll
        EDT_BEAT(CONFIG_T::unroll);
        const typename in::type xi = integer(x[i]);
        s1 += xi;
        s2 += xi * xi;
    }

    const ap_int<size_bits + 1> d = size;
    const ap_int<v_bits> eps = CONFIG_T::eps;
    const ap_int<v_bits> variance = ap_int<v_bits>(s2 * d) - ap_int<v_bits>(s1 * s1) + eps;
    int length = 0;
EDT_LABEL(Length)
    for (int i = 0; i < v_bits; i++) {
#pragma HLS UNROLL
        if (variance[i]) {
            length = i + 1;
        }
    }
    length += length & 1;
    const ap_uint<10> index = ap_uint<10>(length >= 10 ? variance >> (length - 10) : variance << (10 - length));
    const ap_int<17> r = rsqrt[int(index) - 256];
    const int shift = 3 + (length - 2) / 2;

EDT_LABEL(Normalise)
    for (int i = 0; i < size; i++) {
#pragma HLS PIPELINE II=1
#pragma HLS UNROLL factor=CONFIG_T::unroll
        EDT_BEAT(CONFIG_T::unroll);
        const ap_int<c_bits> centred = integer(x[i]) * d - s1;
        const ap_int<product_bits> product = centred * r;
        const ap_int<t_bits> t = rne_by<3, 3 + v_bits / 2, product_bits>(product, shift);
        const ap_int<sum_bits> sum = ap_int<sum_bits>(t * gamma[i]) + beta[i];
        y[i] = narrow<12 + CONFIG_T::gamma_frac - format<y_T>::frac, y_T>(sum);
    }
}

} // namespace edt

#endif

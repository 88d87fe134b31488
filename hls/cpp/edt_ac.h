// Algorithmic C types, of hls4ml's backends Quartus and Catapult, under the names that the ops use. Sibling: edt_ap.h.
#ifndef EDT_AC_H_
#define EDT_AC_H_

namespace edt {

template <int W> using ap_int = ac_int<W, true>;
template <int W> using ap_uint = ac_int<W, false>;

// format<T>: bits, frac, sign and code type of a type; value = code * 2^-frac.
template <class T> struct format;

template <int W, bool S> struct format<ac_int<W, S> > {
    static const int bits = W;
    static const int frac = 0;
    static const bool is_signed = S;
    typedef ac_int<W, S> code_t;
};

template <int W, int I, bool S, ac_q_mode Q, ac_o_mode O> struct format<ac_fixed<W, I, S, Q, O> > {
    static const int bits = W;
    static const int frac = W - I;
    static const bool is_signed = S;
    static const bool ties_to_even = Q == AC_RND_CONV;
    static const bool saturates = O == AC_SAT;
    typedef ac_int<W, S> code_t;
};

// The code of a value: the same bits, read as an integer.
template <class T> typename format<T>::code_t code(const T &value) {
    return value.template slc<format<T>::bits>(0);
}

// The value of a code: the same bits, read in format T.
template <class T> T value(const typename format<T>::code_t &bits) {
    T out;
    out.set_slc(0, bits);
    return out;
}

// The type of an Int(bits, frac): the cast to it is narrow.
template <int BITS, int FRAC, bool SIGNED> struct narrowed {
    typedef ac_fixed<BITS, BITS - FRAC, SIGNED, AC_RND_CONV, AC_SAT> type;
};

} // namespace edt

#endif

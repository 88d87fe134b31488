// What emulation needs of the header that comes with AMD's tool, which takes its own: a beat of an AXI4-Stream.
#ifndef EDT_AP_AXI_SDATA_H_
#define EDT_AP_AXI_SDATA_H_

#include "ap_int.h"

template <int DATA, int USER, int ID, int DEST> struct ap_axiu {
    ap_uint<DATA> data;
    ap_uint<DATA / 8> keep;
    ap_uint<DATA / 8> strb;
    ap_uint<USER> user;
    ap_uint<1> last;
    ap_uint<ID> id;
    ap_uint<DEST> dest;
};

template <int DATA> struct ap_axiu<DATA, 0, 0, 0> {
    ap_uint<DATA> data;
    ap_uint<DATA / 8> keep;
    ap_uint<DATA / 8> strb;
    ap_uint<1> last;
};

#endif

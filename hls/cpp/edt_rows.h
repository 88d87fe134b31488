// Rows of a whole window's codes: an op that goes row by row takes one, and puts one. The arrays are row after row.
#ifndef EDT_ROWS_H_
#define EDT_ROWS_H_

#include "edt_fixed.h"

namespace edt {

// row = codes[index], of codes [ROWS][SIZE].
template <int ROWS, int SIZE, class T> void take_row(const T codes[ROWS * SIZE], int index, T row[SIZE]) {
#pragma HLS INLINE
    static_assert(ROWS > 0 && SIZE > 0, "rows and their size must be positive");
EDT_LABEL(Take)
    for (int i = 0; i < SIZE; i++) {
#pragma HLS PIPELINE II=1
        EDT_BEAT(1);
        row[i] = codes[index * SIZE + i];
    }
}

// codes[index] = row, of codes [ROWS][SIZE].
template <int ROWS, int SIZE, class T> void put_row(const T row[SIZE], int index, T codes[ROWS * SIZE]) {
#pragma HLS INLINE
    static_assert(ROWS > 0 && SIZE > 0, "rows and their size must be positive");
EDT_LABEL(Put)
    for (int i = 0; i < SIZE; i++) {
#pragma HLS PIPELINE II=1
        EDT_BEAT(1);
        codes[index * SIZE + i] = row[i];
    }
}

// Codes that the network brings along, in the place of an input. CONFIG_T: size; length (rows); codes_t (integer codes).
template <class y_T, class CONFIG_T>
void constant(y_T y[CONFIG_T::length * CONFIG_T::size],
              const typename CONFIG_T::codes_t codes[CONFIG_T::length * CONFIG_T::size]) {
#pragma HLS INLINE
    typedef format<typename CONFIG_T::codes_t> codes_f;
    static_assert(CONFIG_T::length > 0 && CONFIG_T::size > 0, "a constant has rows and a size");
    static_assert(codes_f::bits == format<y_T>::bits && codes_f::is_signed == format<y_T>::is_signed,
                  "a constant's codes must be of y's format");
EDT_LABEL(Bring)
    for (int i = 0; i < int(CONFIG_T::length * CONFIG_T::size); i++) {
#pragma HLS PIPELINE II=1
        EDT_BEAT(1);
        y[i] = value<y_T>(typename format<y_T>::code_t(codes[i]));
    }
}

} // namespace edt

#endif

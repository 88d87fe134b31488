// Rows of a whole window's codes: an op that goes row by row takes one, and puts one. The arrays are row after row.
#ifndef EDT_ROWS_H_
#define EDT_ROWS_H_

#include "edt_fixed.h"

namespace edt {

// row = codes[index], of codes [ROWS][SIZE].
template <int ROWS, int SIZE, class T> void take_row(const T codes[ROWS * SIZE], int index, T row[SIZE]) {
#pragma HLS INLINE
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
EDT_LABEL(Put)
    for (int i = 0; i < SIZE; i++) {
#pragma HLS PIPELINE II=1
        EDT_BEAT(1);
        codes[index * SIZE + i] = row[i];
    }
}

} // namespace edt

#endif

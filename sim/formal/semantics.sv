// What the proofs of rounding hold the units to: edgendt/fixed.py, written plainly.
`default_nettype none
package semantics;
  typedef logic signed [65:0] wide_t;  // a remainder below 2^63, doubled

  // a * 2^-s to the nearest integer, ties to even; s < 0 multiplies exactly.
  function automatic wide_t rne(input wide_t a, input int s);
    wide_t quotient, rest, one;
    if (s < 0) return a <<< -s;
    one      = wide_t'(1) <<< s;
    quotient = a >>> s;
    rest     = (a - (quotient <<< s)) <<< 1;
    return rest > one || (rest == one && quotient[0]) ? quotient + wide_t'(1) : quotient;
  endfunction

  function automatic wide_t saturate(input wide_t a, input wide_t lo, input wide_t hi);
    return a > hi ? hi : a < lo ? lo : a;
  endfunction
endpackage
`default_nettype wire

"""Neural Data Transformers from spike counts to an FPGA, bit-exact at every op."""

//! Batched UDP for mio: recvmmsg and GRO in, sendmmsg of GSO runs out

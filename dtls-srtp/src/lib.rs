//! DTLS (RFC 6347) and SRTP (RFC 3711, RFC 7714) with their meeting point RFC 5764, without I/O

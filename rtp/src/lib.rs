//! RTP and RTCP (RFC 3550): packet views, header extensions, feedback, reports

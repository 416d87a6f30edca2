//! Rooms, sources, slots and subscriptions: a zero-copy SFU without I/O

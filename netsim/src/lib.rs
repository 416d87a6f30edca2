//! A seeded network in virtual time: links, NATs, and a harness for engines without I/O.

use super::Sink;
use crate::chunk::{DataFlags, DataHeader, IDataHeader};
use crate::registry::Ppid;
use std::vec::Vec;

mod acks;
mod hostile;
mod model;
mod reassembly;

/// What a sink was given.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Given {
    Message(u16, u32, bool, Vec<u8>),
    Part(u16, u32, bool, Vec<u8>, bool, bool),
    Cut(u16, bool),
}

#[derive(Debug, Default)]
struct Log(Vec<Given>);

impl Log {
    fn take(&mut self) -> Vec<Given> {
        std::mem::take(&mut self.0)
    }
}

impl Sink for Log {
    fn message(&mut self, stream: u16, ppid: Ppid, unordered: bool, payload: &[u8]) {
        self.0.push(Given::Message(stream, ppid.0, unordered, payload.to_vec()));
    }

    fn part(&mut self, stream: u16, ppid: Ppid, unordered: bool, payload: &[u8], first: bool, last: bool) {
        self.0
            .push(Given::Part(stream, ppid.0, unordered, payload.to_vec(), first, last));
    }

    fn cut(&mut self, stream: u16, unordered: bool) {
        self.0.push(Given::Cut(stream, unordered));
    }
}

/// The flags by their letters.
fn flags(letters: &str) -> DataFlags {
    DataFlags {
        immediate: letters.contains('I'),
        unordered: letters.contains('U'),
        beginning: letters.contains('B'),
        ending: letters.contains('E'),
    }
}

fn data(letters: &str, tsn: u32, stream: u16, ssn: u16) -> DataHeader {
    DataHeader {
        flags: flags(letters),
        tsn,
        stream,
        ssn,
        ppid: Ppid::BINARY,
    }
}

/// `last` is the PPID or the FSN.
fn i_data(letters: &str, tsn: u32, stream: u16, mid: u32, last: u32) -> IDataHeader {
    IDataHeader {
        flags: flags(letters),
        tsn,
        stream,
        mid,
        ppid_or_fsn: last,
    }
}

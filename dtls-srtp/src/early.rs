use std::fmt;

use crate::record::RecordHeader;

/// Protected records that came before they could be used: the network put a Finished before the message that gives its
/// keys, or application data before the Finished. Kept within a budget, as they came.
pub(crate) struct EarlyRecords {
    records: Vec<(RecordHeader, Vec<u8>)>,
    bytes: usize,
    max_bytes: usize,
}

impl EarlyRecords {
    /// An SCTP association's first flights fit.
    const MAX_RECORDS: usize = 16;

    pub(crate) const fn new(max_bytes: usize) -> Self {
        Self {
            records: Vec::new(),
            bytes: 0,
            max_bytes,
        }
    }

    pub(crate) const fn held_bytes(&self) -> usize {
        self.bytes
    }

    /// Keeps a record; `false` when there is no room.
    pub(crate) fn keep(&mut self, header: &RecordHeader, body: &[u8]) -> bool {
        let bytes = self.bytes.saturating_add(body.len());
        if self.records.len() >= Self::MAX_RECORDS || bytes > self.max_bytes {
            return false;
        }
        self.bytes = bytes;
        self.records.push((*header, body.to_vec()));
        true
    }

    /// Takes the first record that is ready.
    pub(crate) fn take(&mut self, ready: impl Fn(&RecordHeader) -> bool) -> Option<(RecordHeader, Vec<u8>)> {
        let at = self.records.iter().position(|(header, _)| ready(header))?;
        let (header, body) = self.records.remove(at);
        self.bytes = self.bytes.saturating_sub(body.len());
        Some((header, body))
    }

    /// Forgets all.
    pub(crate) fn clear(&mut self) {
        *self = Self::new(self.max_bytes);
    }
}

impl fmt::Debug for EarlyRecords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EarlyRecords({} records, {} bytes)", self.records.len(), self.bytes)
    }
}

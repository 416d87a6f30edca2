use std::collections::VecDeque;
use std::fmt;

/// What came before it could be used: the network put a Finished before the message that gives its keys, or application
/// data before the Finished. Kept within a budget.
pub(crate) struct Early {
    items: VecDeque<EarlyItem>,
    bytes: usize,
    max_bytes: usize,
}

/// Something that waits.
pub(crate) enum EarlyItem {
    /// A whole record as it came: its keys are not there yet.
    Record(EarlyEpoch, Vec<u8>),
    /// Application data, opened: the peer is not proven yet.
    Data(Vec<u8>),
}

/// What a record tells of its epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EarlyEpoch {
    /// All of it (DTLS 1.2).
    Whole(u16),
    /// The lower two bits (DTLS 1.3).
    Bits(u8),
}

impl EarlyItem {
    const fn len(&self) -> usize {
        match self {
            Self::Record(_, bytes) | Self::Data(bytes) => bytes.len(),
        }
    }
}

impl Early {
    /// An SCTP association's first flights fit.
    const MAX_ITEMS: usize = 16;

    pub(crate) const fn new(max_bytes: usize) -> Self {
        Self {
            items: VecDeque::new(),
            bytes: 0,
            max_bytes,
        }
    }

    pub(crate) const fn held_bytes(&self) -> usize {
        self.bytes
    }

    /// Keeps something; `false` when there is no room.
    pub(crate) fn keep(&mut self, item: EarlyItem) -> bool {
        let bytes = self.bytes.saturating_add(item.len());
        if self.items.len() >= Self::MAX_ITEMS || bytes > self.max_bytes {
            return false;
        }
        self.bytes = bytes;
        self.items.push_back(item);
        true
    }

    /// Takes the first thing that is ready.
    pub(crate) fn take(&mut self, ready: impl Fn(&EarlyItem) -> bool) -> Option<EarlyItem> {
        let at = self.items.iter().position(ready)?;
        let item = self.items.remove(at)?;
        self.bytes = self.bytes.saturating_sub(item.len());
        Some(item)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Whether a record of DTLS 1.3 waits.
    pub(crate) fn has_13(&self) -> bool {
        self.items
            .iter()
            .any(|item| matches!(item, EarlyItem::Record(EarlyEpoch::Bits(_), _)))
    }

    /// The version is settled: records of the other one never become of use.
    pub(crate) fn settle(&mut self, is_13: bool) {
        self.items.retain(|item| match item {
            EarlyItem::Record(EarlyEpoch::Whole(_), _) => !is_13,
            EarlyItem::Record(EarlyEpoch::Bits(_), _) => is_13,
            EarlyItem::Data(_) => true,
        });
        self.bytes = self.items.iter().map(EarlyItem::len).fold(0, usize::saturating_add);
    }

    /// Forgets all.
    pub(crate) fn clear(&mut self) {
        *self = Self::new(self.max_bytes);
    }
}

impl fmt::Debug for Early {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Early({} items, {} bytes)", self.items.len(), self.bytes)
    }
}

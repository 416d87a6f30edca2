use std::array;
use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::slice::{ChunksExactMut, ChunksMut};

use quinn_udp::{BATCH_SIZE, RecvMeta, UdpSockRef, UdpSocketState};
use wire::{Ecn, Path};

/// Room for one message. The kernel joins datagrams to at most what one IP packet could hold.
const MESSAGE: usize = 1 << 16;

/// What one call brings at most: systems that have no `recvmmsg` give one message.
const MOST: usize = if cfg!(any(target_os = "linux", target_os = "android", target_os = "freebsd")) {
    BATCH_SIZE
} else {
    1
};

/// What a socket of one sender is asked for. There is rarely more than one message, and it is joined.
const FEW: usize = 4;

/// The buffers for one `recvmmsg`, made once and used for every call.
pub struct RecvBatch {
    bytes: Box<[u8]>,
    meta: [RecvMeta; BATCH_SIZE],
    filled: usize,
    /// What the last call could have brought at most.
    asked: usize,
    local: SocketAddr,
}

impl RecvBatch {
    /// Buffers for a full batch.
    pub fn new() -> Self {
        Self {
            bytes: vec![0; MESSAGE * BATCH_SIZE].into_boxed_slice(),
            meta: [RecvMeta::default(); BATCH_SIZE],
            filled: 0,
            asked: MOST,
            local: SocketAddr::from(([0, 0, 0, 0], 0)),
        }
    }

    /// The datagrams of the last call in the order of their arrival, each lent to be worked on in place.
    pub fn datagrams(&mut self) -> Datagrams<'_> {
        Datagrams {
            messages: self.bytes.chunks_exact_mut(MESSAGE),
            meta: self.meta.get(..self.filled).unwrap_or_default().iter(),
            local: self.local,
            current: None,
        }
    }

    /// Messages that the last call brought; what the kernel had joined is one.
    pub const fn len(&self) -> usize {
        self.filled
    }

    /// Whether the last call brought nothing.
    pub const fn is_empty(&self) -> bool {
        self.filled == 0
    }

    /// Whether the last call brought as much as it could, so that there may be more. Otherwise it has emptied the
    /// socket, and mio will say when there is more. Where the system gives one message at a time, one is as much as it
    /// can.
    pub const fn is_full(&self) -> bool {
        self.filled >= self.asked
    }

    pub(crate) fn fill(
        &mut self,
        state: &UdpSocketState,
        io: UdpSockRef<'_>,
        local: SocketAddr,
        few: bool,
    ) -> io::Result<()> {
        self.filled = 0;
        self.local = local;
        self.asked = if few { MOST.min(FEW) } else { MOST };
        self.filled = if few {
            receive::<FEW>(&mut self.bytes, &mut self.meta, state, io)
        } else {
            receive::<BATCH_SIZE>(&mut self.bytes, &mut self.meta, state, io)
        }?;
        Ok(())
    }

    pub(crate) fn datagram_count(&self) -> u64 {
        let count = |meta: &RecvMeta| meta.len.div_ceil(meta.stride.max(1)) as u64;
        self.meta.iter().take(self.filled).map(count).sum()
    }

    pub(crate) fn byte_count(&self) -> u64 {
        self.meta.iter().take(self.filled).map(|meta| meta.len as u64).sum()
    }

    pub(crate) fn empty_count(&self) -> u64 {
        self.meta.iter().take(self.filled).filter(|meta| meta.len == 0).count() as u64
    }
}

/// Each message that could come costs something, whether it comes or not.
fn receive<const N: usize>(
    bytes: &mut [u8],
    meta: &mut [RecvMeta],
    state: &UdpSocketState,
    io: UdpSockRef<'_>,
) -> io::Result<usize> {
    let mut messages = bytes.chunks_exact_mut(MESSAGE);
    let mut slices: [IoSliceMut<'_>; N] = array::from_fn(|_| IoSliceMut::new(messages.next().unwrap_or_default()));
    state.recv(io, &mut slices, meta)
}

impl Default for RecvBatch {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for RecvBatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RecvBatch")
            .field("messages", &self.filled)
            .finish_non_exhaustive()
    }
}

/// One datagram, lent from the batch.
#[derive(Debug)]
pub struct Datagram<'a> {
    /// Where it came from, and which of our addresses it was sent to.
    pub path: Path,
    /// How the network had marked it.
    pub ecn: Ecn,
    /// Its content.
    pub data: &'a mut [u8],
}

/// The datagrams of a [`RecvBatch`].
#[derive(Debug)]
pub struct Datagrams<'a> {
    messages: ChunksExactMut<'a, u8>,
    meta: std::slice::Iter<'a, RecvMeta>,
    local: SocketAddr,
    current: Option<(Path, Ecn, ChunksMut<'a, u8>)>,
}

impl<'a> Iterator for Datagrams<'a> {
    type Item = Datagram<'a>;

    fn next(&mut self) -> Option<Datagram<'a>> {
        loop {
            if let Some((path, ecn, chunks)) = &mut self.current
                && let Some(data) = chunks.next()
            {
                return Some(Datagram {
                    path: *path,
                    ecn: *ecn,
                    data,
                });
            }
            let meta = self.meta.next()?;
            let message = self.messages.next()?.get_mut(..meta.len)?;
            let ip = meta.dst_ip.unwrap_or_else(|| self.local.ip());
            let path = Path::udp(SocketAddr::new(ip, self.local.port()), comparable(meta.addr));
            let ecn = meta.ecn.map_or(Ecn::NotEct, |ecn| Ecn::from_bits(ecn as u8));
            self.current = Some((path, ecn, message.chunks_mut(meta.stride.max(1))));
        }
    }
}

/// Paths are compared whole, and a sender may change the flow label when it likes (RFC 6438).
pub(crate) fn comparable(mut addr: SocketAddr) -> SocketAddr {
    if let SocketAddr::V6(v6) = &mut addr {
        v6.set_flowinfo(0);
    }
    addr
}

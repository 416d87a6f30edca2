#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::unwrap_used
)]

use core::mem::take;

use super::counter_mode::{LANES, Untagged};
use super::{SealError, Sealer, StreamHandle};

/// A packet for one receiver that [`seal_rtp_each`] is to seal, and what became of it.
#[derive(Debug)]
pub struct Outgoing<'a> {
    sealer: &'a mut Sealer,
    stream: StreamHandle,
    index: u64,
    plain: Plain<'a>,
    out: &'a mut [u8],
    sealed: Option<Result<usize, SealError>>,
}

/// Where header and payload lie.
#[derive(Debug, Clone, Copy)]
pub(super) enum Plain<'a> {
    InPlace { header_len: usize, payload_len: usize },
    Apart { header: &'a [u8], payload: &'a [u8] },
}

impl<'a> Outgoing<'a> {
    /// A packet whose header and payload already lie at the start of `out`, as for [`Sealer::seal_rtp`].
    pub const fn in_place(
        sealer: &'a mut Sealer,
        stream: StreamHandle,
        index: u64,
        header_len: usize,
        out: &'a mut [u8],
        payload_len: usize,
    ) -> Self {
        let plain = Plain::InPlace {
            header_len,
            payload_len,
        };
        Self {
            sealer,
            stream,
            index,
            plain,
            out,
            sealed: None,
        }
    }

    /// A packet whose payload lies elsewhere, as for [`Sealer::seal_rtp_into`]: the payload is often the same one for all
    /// receivers.
    pub const fn apart(
        sealer: &'a mut Sealer,
        stream: StreamHandle,
        index: u64,
        header: &'a [u8],
        payload: &'a [u8],
        out: &'a mut [u8],
    ) -> Self {
        Self {
            sealer,
            stream,
            index,
            plain: Plain::Apart { header, payload },
            out,
            sealed: None,
        }
    }

    /// The length of the SRTP packet at the start of its buffer, or why it was not sealed; `None` before
    /// [`seal_rtp_each`].
    pub const fn sealed(&self) -> Option<Result<usize, SealError>> {
        self.sealed
    }
}

/// Seals packets for several receivers, each under its own key, header and index; those that were sealed already are
/// passed over. What comes out is what [`Sealer::seal_rtp`] and [`Sealer::seal_rtp_into`] give for each alone, in less time:
/// of packets with AES-CM and HMAC-SHA1 four are authenticated side by side, since a single chain of SHA-1 keeps a core waiting.
/// That gains most where they are of about the same length, as packets with one payload are. With GCM nothing is gained
/// or lost.
///
/// How it ended for each packet is told by [`Outgoing::sealed`]; a packet that is refused takes nothing from the others.
pub fn seal_rtp_each(packets: &mut [Outgoing<'_>]) {
    let mut lanes: [Option<Untagged<'_>>; LANES] = [const { None }; LANES];
    let mut taken = 0_usize;
    for packet in packets {
        let Outgoing {
            sealer,
            stream,
            index,
            plain,
            out,
            sealed,
        } = packet;
        if sealed.is_some() {
            continue;
        }
        if taken == LANES {
            Untagged::seal_each(take(&mut lanes));
            taken = 0;
        }
        let Some(lane) = lanes.get_mut(taken) else { break };
        *sealed = Some(sealer.begin(*stream, *index, plain, out, lane));
        if lane.is_some() {
            taken = taken.saturating_add(1);
        }
    }
    if taken > 0 {
        Untagged::seal_each(lanes);
    }
}

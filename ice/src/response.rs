#![deny(clippy::arithmetic_side_effects)]
#![cfg_attr(test, allow(clippy::arithmetic_side_effects))]

use crate::checklist::MAX_CHECK;
use crate::credentials::Generations;
use crate::rider::{Attachments, Rider};
use std::collections::VecDeque;
use stun::{
    AttributeType, BuildError, Builder, Class, ErrorCode, IntegrityAlgorithm, Method, TransactionId, TypeList, Value,
};
use wire::{Path, Transmit};

/// The room that [`Agent::poll_transmit`](crate::Agent::poll_transmit) wants, in bytes: that of the longest check,
/// which is for a peer whose ufrag has 256 characters (RFC 8839 §5.4). Responses, which have no USERNAME, are shorter.
pub const MIN_OUT: usize = MAX_CHECK;

/// How much longer an answer may be than what it answers, before the peer has shown that it receives where it seems to be:
/// as in RFC 9000 §8.1.
pub(crate) const AMPLIFICATION: usize = 3;

/// Most attribute types that one 420 response lists.
const MAX_UNKNOWN: usize = 8;

/// A response that waits to be written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Response {
    pub(crate) path: Path,
    pub(crate) transaction_id: TransactionId,
    pub(crate) generation: u32,
    pub(crate) algorithm: IntegrityAlgorithm,
    pub(crate) answer: Answer,
    /// The most bytes that it may have with what rides in it: an address that is not proven to be the peer's gets no more
    /// than [`AMPLIFICATION`] times what came from there.
    pub(crate) most: usize,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Answer {
    Success,
    RoleConflict,
    UnknownAttributes(Unknown),
}

/// The first attribute types of a request that were not understood.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Unknown {
    types: [AttributeType; MAX_UNKNOWN],
    len: usize,
}

impl Unknown {
    /// `None` when there are none.
    pub(crate) fn collect(types: impl Iterator<Item = AttributeType>) -> Option<Self> {
        let mut unknown = Self {
            types: [AttributeType(0); MAX_UNKNOWN],
            len: 0,
        };
        for (place, kind) in unknown.types.iter_mut().zip(types) {
            *place = kind;
            unknown.len = unknown.len.saturating_add(1);
        }
        (unknown.len > 0).then_some(unknown)
    }

    fn as_slice(&self) -> &[AttributeType] {
        self.types.get(..self.len).unwrap_or_default()
    }
}

impl Response {
    fn write(
        &self,
        generations: &Generations,
        selected: Option<Path>,
        rider: &mut dyn Rider,
        out: &mut [u8],
    ) -> Result<usize, BuildError> {
        // The password that authenticated the request (RFC 8489 §9.1.3); when it is no longer known, nothing is
        // written.
        let generation = generations.by_number(self.generation).ok_or(BuildError::Full)?;
        let class = match self.answer {
            Answer::Success => Class::SuccessResponse,
            Answer::RoleConflict | Answer::UnknownAttributes(_) => Class::ErrorResponse,
        };
        let whole = out.len();
        let mut builder = Builder::new(out, class, Method::BINDING, self.transaction_id)?;
        match &self.answer {
            Answer::Success => {
                builder.push(&Value::XorMappedAddress(self.path.remote))?;
                let written = whole.saturating_sub(builder.room());
                let attachments = Attachments::within(&mut builder, self.most.saturating_sub(written));
                rider.attach(class, &mut attachments.aside(selected != Some(self.path)));
            }
            Answer::RoleConflict => builder.error_code(ErrorCode::ROLE_CONFLICT)?,
            Answer::UnknownAttributes(unknown) => {
                builder.error_code(ErrorCode::UNKNOWN_ATTRIBUTE)?;
                builder.push(&Value::UnknownAttributes(TypeList::new(unknown.as_slice())))?;
            }
        }
        builder.integrity_like(self.algorithm, &generation.key)?;
        builder.fingerprint()?;
        Ok(builder.finish().len())
    }
}

/// The responses that wait, oldest first.
#[derive(Debug)]
pub(crate) struct Responses {
    pending: VecDeque<Response>,
    limit: usize,
}

impl Responses {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            pending: VecDeque::new(),
            limit: limit.max(1),
        }
    }

    /// Whether there was room.
    pub(crate) fn push(&mut self, response: Response) -> bool {
        let room = self.pending.len() < self.limit;
        if room {
            self.pending.push_back(response);
        }
        room
    }

    /// Forgets those for a path that is gone.
    pub(crate) fn forget(&mut self, path: &Path) {
        self.pending.retain(|response| response.path != *path);
    }

    pub(crate) fn clear(&mut self) {
        self.pending.clear();
    }

    /// Writes the oldest response and forgets it. One whose credentials are retired by now raises `dropped`.
    pub(crate) fn write_next(
        &mut self,
        generations: &Generations,
        selected: Option<Path>,
        rider: &mut dyn Rider,
        out: &mut [u8],
        dropped: &mut u64,
    ) -> Option<Transmit> {
        while let Some(response) = self.pending.front() {
            let (path, written) = (response.path, response.write(generations, selected, rider, out));
            self.pending.pop_front();
            match written {
                Ok(len) => return Some(Transmit::one(path, len)),
                Err(_) => *dropped = dropped.saturating_add(1),
            }
        }
        None
    }
}

use std::sync::{Mutex, PoisonError};

wire::counters! {
    /// What signalling refused. Each refused connection, request or message raises exactly one, but for requests for
    /// what does not exist.
    pub struct Counters {
        /// WebSocket messages that are not JSON.
        pub websocket_not_json,
        /// WebSocket messages that are JSON, but no object whose `type` is one of the protocol's.
        pub websocket_unknown_type,
        /// WebSocket messages of a known type with a missing or wrong field.
        pub websocket_invalid_message,
        /// WebSocket messages above the size limit; the connection was closed.
        pub websocket_oversized,
        /// Binary WebSocket messages; the connection was closed.
        pub websocket_binary,
        /// WebSocket messages that need a `join` before them, or a second `join`.
        pub websocket_out_of_order,
        /// WebSocket messages that want to resume a session which does not exist (any more).
        pub websocket_unknown_session,
        /// WebSocket connections closed because they sent messages too fast.
        pub websocket_flood,
        /// WebSocket connections closed because they did not read fast enough.
        pub websocket_slow_reader,
        /// WebSocket connections closed because no `join` came in time.
        pub websocket_not_joined,
        /// WebSocket connections closed because nothing was heard from the client for too long.
        pub websocket_silent,
        /// Requests with a room name that is none.
        pub invalid_room_name,
        /// Requests with a participant's name that is none.
        pub invalid_participant_name,
        /// WebSocket connections that a page from elsewhere wanted.
        pub foreign_origin,
        /// Connections above the number that there may be, in all or from one address; they were closed at once.
        pub connections_refused,
        /// Requests above the rate that one address may have.
        pub rate_limited,
        /// Requests for addresses of whoever runs the server without the right token.
        pub admin_unauthorized,
        /// Joins that the engine refused.
        pub join_refused,
        /// Offers that the engine refused.
        pub offer_refused,
        /// Candidates that the engine refused.
        pub candidate_refused,
        /// SDP fragments that the engine refused.
        pub fragment_refused,
        /// Requests for a session that does not exist (any more).
        pub unknown_session,
        /// Requests with a method that is not for their address.
        pub method_not_allowed,
        /// Requests with parameters in the address that cannot be read.
        pub invalid_query,
        /// Requests whose content type is not the one that the resource takes.
        pub wrong_content_type,
        /// Requests with a body above the size limit, that is broken or not UTF-8, or that did not come in time.
        pub unreadable_body,
        /// PATCH requests without an If-Match header.
        pub precondition_missing,
        /// PATCH requests whose If-Match header names another ICE session.
        pub precondition_failed,
        /// Requests that found the worker's queue full, or that it did not answer in time.
        pub worker_busy,
    }
}

/// [`Counters`] for many threads. They are raised by faults only, so a lock is good enough.
#[derive(Debug, Default)]
pub(crate) struct Shared(Mutex<Counters>);

impl Shared {
    pub(crate) fn raise(&self, counter: impl FnOnce(&mut Counters) -> &mut u64) {
        *counter(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner)) += 1;
    }

    pub(crate) fn get(&self) -> Counters {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

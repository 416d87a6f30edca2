use std::net::IpAddr;
use std::sync::{Arc, Mutex, Once, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot, watch};

use crate::connections::Limits;
use crate::counters::{Counters, Shared};
use crate::engine::{Join, Kind, Other, ParticipantId, Reason, Refusal};
use crate::http::sessions::Sessions;
use crate::placement::{Placement, Seat};
use crate::protocol::ServerMessage;
use crate::rate::{PerAddress, Rate};
use crate::turn::Invitation;
use crate::worker::{AnswerTo, Command, Outbox, Report, Unavailable, WorkerHandle};
use crate::{DisplayName, Options, RoomName, Secret};

/// Requests and WebSocket connections that one address may start. A whole office may stand behind one address, and a
/// page reload costs one; a flood is thousands.
const REQUESTS: Rate = Rate {
    burst: 500.0,
    per_second: 50.0,
};
/// How long a worker may take to answer. It is idle or, in a crowd, some milliseconds behind.
const PATIENCE: Duration = Duration::from_secs(5);

/// What all of signalling shares.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) workers: Vec<WorkerHandle>,
    pub(crate) placement: Placement,
    pub(crate) counters: Shared,
    pub(crate) sessions: Sessions,
    /// Turns true when the server stops.
    pub(crate) closing: watch::Receiver<bool>,
    /// WebSocket connections, each of which has to say goodbye.
    pub(crate) connections: watch::Sender<usize>,
    /// How long they may be silent.
    pub(crate) silence: Duration,
    pub(crate) limits: Limits,
    pub(crate) allowed_origins: Vec<String>,
    /// What whoever runs the server shows to be let in; without one nobody is.
    pub(crate) admin_token: Option<Secret>,
    /// Whether the log has heard of a foreign origin.
    pub(crate) foreign_origin_told: Once,
    /// The reports that were made last, and when that began.
    pub(crate) reports: tokio::sync::Mutex<Option<(Instant, Arc<[Report]>)>>,
    /// What the TURN server counted, if there is one.
    pub(crate) turn: Option<Arc<Mutex<crate::turn::Counts>>>,
    /// What pages are told of it.
    pub(crate) invitation: Option<Invitation>,
    rates: Mutex<PerAddress>,
}

/// Why a worker did not do what signalling asked for.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The engine refuses.
    Refused(Refusal),
    /// The worker is overloaded, or has stopped.
    Unavailable(Unavailable),
}

/// Somebody who is in: a participant of an engine, with its place and its messages.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) participant: ParticipantId,
    pub(crate) name: DisplayName,
    pub(crate) others: Vec<Other>,
    pub(crate) messages: mpsc::Receiver<ServerMessage>,
    pub(crate) seat: Seat,
    /// By which it comes back after its connection broke; only members of rooms do.
    pub(crate) session: Option<Secret>,
    /// Whether its media flowed when it came (back).
    pub(crate) connected: bool,
}

impl App {
    /// With room for so many connections.
    pub(crate) fn new(
        workers: Vec<WorkerHandle>,
        closing: watch::Receiver<bool>,
        options: &Options,
        connections: usize,
    ) -> Self {
        Self {
            placement: Placement::new(workers.len()),
            workers,
            counters: Shared::default(),
            sessions: Sessions::default(),
            closing,
            connections: watch::Sender::new(0),
            silence: options.silence,
            limits: Limits {
                overall: connections,
                per_address: options.connections_per_address,
            },
            allowed_origins: options.allowed_origins.clone(),
            admin_token: options.admin_token.clone(),
            foreign_origin_told: Once::new(),
            reports: tokio::sync::Mutex::new(None),
            turn: None,
            invitation: None,
            rates: Mutex::new(PerAddress::new(REQUESTS, Instant::now())),
        }
    }

    /// Whether `address` may make one more request now.
    pub(crate) fn admit(&self, address: IpAddr) -> bool {
        let admitted = self
            .rates
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take(address, Instant::now());
        if !admitted {
            self.raise(|c| &mut c.rate_limited);
        }
        admitted
    }

    pub(crate) fn raise(&self, counter: impl FnOnce(&mut Counters) -> &mut u64) {
        self.counters.raise(counter);
    }

    /// Lets somebody into a room, or, without one, into an echo of its own.
    pub(crate) async fn join(
        &self,
        room: Option<&RoomName>,
        name: DisplayName,
        kind: Kind,
        capacity: usize,
    ) -> Result<Member, Failure> {
        let seat = match room {
            Some(room) => self.placement.in_room(room),
            None => self.placement.alone(),
        };
        let (outbox, messages) = Outbox::new(capacity);
        let (reply, answer) = oneshot::channel();
        let session = (kind == Kind::Member).then(Secret::random);
        let command = Command::Join {
            room: room.map_or_else(String::new, ToString::to_string),
            join: Join {
                name: name.clone(),
                kind,
            },
            session: session.clone(),
            outbox,
            reply,
        };
        let (participant, others) = self.ask(seat.worker(), command, answer).await?.map_err(|refusal| {
            self.raise(|c| &mut c.join_refused);
            Failure::Refused(refusal)
        })?;
        Ok(Member {
            participant,
            name,
            others,
            messages,
            seat,
            session,
            connected: false,
        })
    }

    /// Lets somebody go on in a room whose connection broke. From now on it has another session.
    pub(crate) async fn resume(&self, room: &RoomName, session: Secret, capacity: usize) -> Result<Member, Failure> {
        let seat = self.placement.in_room(room);
        let (outbox, messages) = Outbox::new(capacity);
        let (reply, answer) = oneshot::channel();
        let renewed = Secret::random();
        let command = Command::Resume {
            room: room.to_string(),
            session,
            renewed: renewed.clone(),
            outbox,
            reply,
        };
        let resumed = self.ask(seat.worker(), command, answer).await?.map_err(|refusal| {
            self.raise(|c| &mut c.websocket_unknown_session);
            Failure::Refused(refusal)
        })?;
        Ok(Member {
            participant: resumed.participant,
            name: resumed.name,
            others: resumed.others,
            messages,
            seat,
            session: Some(renewed),
            connected: resumed.connected,
        })
    }

    /// Hands an offer to the engine and waits for the answer.
    pub(crate) async fn offer(
        &self,
        worker: usize,
        participant: ParticipantId,
        sdp: String,
    ) -> Result<String, Failure> {
        let (reply, answer) = oneshot::channel();
        let command = Command::Offer {
            participant,
            sdp,
            answer: AnswerTo::Caller(reply),
        };
        self.ask(worker, command, answer).await?.map_err(|refusal| {
            self.raise(|c| &mut c.offer_refused);
            Failure::Refused(refusal)
        })
    }

    /// Hands a fragment to the engine and waits for the fragment that answers it, if it was an ICE restart.
    pub(crate) async fn fragment(
        &self,
        worker: usize,
        participant: ParticipantId,
        fragment: String,
    ) -> Result<Option<String>, Failure> {
        let (reply, answer) = oneshot::channel();
        let command = Command::Fragment {
            participant,
            fragment,
            reply,
        };
        self.ask(worker, command, answer).await?.map_err(|refusal| {
            self.raise(|c| &mut c.fragment_refused);
            Failure::Refused(refusal)
        })
    }

    /// Lets somebody go, however busy the worker is, unless it goes on with another session.
    pub(crate) async fn leave(
        &self,
        seat: &Seat,
        participant: ParticipantId,
        session: Option<&Secret>,
        reason: Reason,
    ) {
        let Some(handle) = self.workers.get(seat.worker()) else {
            return;
        };
        let mut command = Command::Leave {
            participant,
            session: session.cloned(),
            reason,
        };
        // It goes through in the end, so no counter is raised.
        while let Err((Unavailable::Busy, refused)) = handle.send(command) {
            command = refused;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Gives a worker a command without waiting for it to be carried out.
    pub(crate) fn command(&self, worker: usize, command: Command) -> Result<(), (Unavailable, Command)> {
        let Some(handle) = self.workers.get(worker) else {
            return Err((Unavailable::Stopped, command));
        };
        handle.send(command).inspect_err(|(unavailable, _)| {
            if *unavailable == Unavailable::Busy {
                self.raise(|c| &mut c.worker_busy);
            }
        })
    }

    /// Gives a worker a command and waits for the answer.
    pub(crate) async fn ask<T>(
        &self,
        worker: usize,
        command: Command,
        answer: oneshot::Receiver<T>,
    ) -> Result<T, Failure> {
        self.command(worker, command)
            .map_err(|(unavailable, _)| Failure::Unavailable(unavailable))?;
        match tokio::time::timeout(PATIENCE.min(self.silence), answer).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(_)) => Err(Failure::Unavailable(Unavailable::Stopped)),
            Err(_) => {
                self.raise(|c| &mut c.worker_busy);
                Err(Failure::Unavailable(Unavailable::Busy))
            }
        }
    }
}

/// Waits until the server stops.
pub(crate) async fn stopped(closing: &mut watch::Receiver<bool>) {
    // When the sender is gone, so is the server.
    drop(closing.wait_for(|closing| *closing).await);
}

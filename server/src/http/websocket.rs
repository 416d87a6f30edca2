use std::borrow::Cow;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code};
use axum::extract::{FromRequestParts, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use tokio::sync::mpsc::error::TryRecvError;
use tokio::sync::{oneshot, watch};
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use crate::app::{App, Failure, Member, stopped};
use crate::engine::{Kind, Reason};
use crate::http::problem::Problem;
use crate::http::{MAX_BODY, room_of_path};
use crate::protocol::{ClientMessage, ConnectionState, OfferId, ServerMessage, TYPES, Unreadable, Welcome};
use crate::rate::{Bucket, Rate};
use crate::worker::{AnswerTo, Command, Unavailable};
use crate::{DisplayName, NameError, RoomName, Secret};

/// Messages that may wait for a slow client. A room of fifty that all come at once makes about a hundred.
const OUTBOX: usize = 512;
/// What a client may send: a browser with many interfaces trickles some dozens of candidates at once.
const MESSAGES: Rate = Rate {
    burst: 300.0,
    per_second: 30.0,
};
/// Pings in the time after which a silent client is given up: one may be lost with the network it went through.
const PINGS: u32 = 3;
/// How long one message may take to get out.
const SLOW: Duration = Duration::from_secs(10);
/// How long a member whose media flows may be without a connection: a network that changes takes some seconds, and a
/// page that finds its way back tries every few seconds.
const KEPT: Duration = Duration::from_secs(30);
/// How long a client may take to close its side after we have closed ours.
const LINGER: Duration = Duration::from_secs(1);
/// Above our own limit, so that a message that is too long can be told so; the library breaks off beyond.
const LIBRARY_LIMIT: usize = 4 * MAX_BODY;

/// `GET /v1/rooms/{room}/ws`.
pub(super) async fn upgrade(State(app): State<Arc<App>>, request: Request) -> Result<Response, Problem> {
    let (mut parts, _) = request.into_parts();
    let room = room_of_path(&mut parts, &app).await?;
    let upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection> =
        WebSocketUpgrade::from_request_parts(&mut parts, &app).await;
    let upgrade = upgrade.map_err(|rejection| {
        let detail = format!(
            "This address is for WebSocket connections only: {}.",
            rejection.body_text()
        );
        // By the host a page finds out that a proxy changes it: then its WebSocket is refused as a foreign one's.
        Problem::new(StatusCode::UPGRADE_REQUIRED, "websocket-only", detail).host(host(&parts.headers))
    })?;
    check_origin(&app, &parts.headers)?;
    let room = RoomName::new(&room);
    let upgrade = upgrade.max_message_size(LIBRARY_LIMIT).max_frame_size(LIBRARY_LIMIT);
    Ok(upgrade.on_upgrade(move |socket| async move {
        let _open = Open::new(&app);
        // A browser shows a page nothing of a refused upgrade, so a wrong name is told over the connection.
        match room {
            Ok(room) => Connection::new(app, socket, room).run().await,
            Err(error) => refuse_room(&app, socket, error).await,
        }
    }))
}

/// A page of any site may open a WebSocket to any address that its visitor reaches, and so to a server that is open to
/// this machine or this network alone: browsers ask nobody (RFC 6455 §10.2). Rooms are therefore for the page that came
/// from here, which its Origin tells, and for programs, which send none.
fn check_origin(app: &App, headers: &HeaderMap) -> Result<(), Problem> {
    let Some(origin) = headers.get(header::ORIGIN) else {
        return Ok(());
    };
    let origin = origin.to_str().unwrap_or_default();
    let own = host(headers);
    let authority = origin.split_once("://").map(|(_, authority)| authority);
    let is_own = authority
        .zip(own)
        .is_some_and(|(theirs, own)| theirs.eq_ignore_ascii_case(own));
    let is_allowed = |allowed: &String| allowed.trim_end_matches('/').eq_ignore_ascii_case(origin);
    if is_own || app.allowed_origins.iter().any(is_allowed) {
        return Ok(());
    }
    app.raise(|c| &mut c.foreign_origin);
    // Whoever runs the server has to know, but anybody may cause it.
    app.foreign_origin_told.call_once(|| {
        tracing::warn!(
            origin,
            host = own.unwrap_or_default(),
            "a page of another origin was kept out of the rooms; if it is this server's own page, behind a proxy, start \
             the server with --allow-origin and that origin"
        );
    });
    let detail = "Rooms can be used by this server's own page only, and this request comes from another one: start the \
                  server with --allow-origin if it may.";
    Err(Problem::new(StatusCode::FORBIDDEN, "foreign-origin", detail))
}

/// The host that a request is for.
fn host(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::HOST).and_then(|host| host.to_str().ok())
}

/// Counts a connection for as long as it is there.
struct Open(watch::Sender<usize>);

impl Open {
    fn new(app: &App) -> Self {
        app.connections.send_modify(|open| *open += 1);
        Self(app.connections.clone())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.send_modify(|open| *open -= 1);
    }
}

async fn refuse_room(app: &App, mut socket: WebSocket, error: NameError) {
    app.raise(|c| &mut c.invalid_room_name);
    let problem = Problem::room_name(error);
    let message = ServerMessage::Error {
        code: problem.code(),
        message: problem.detail().into(),
        re: None,
        id: None,
    };
    let close = CloseFrame {
        code: close_code::POLICY,
        reason: problem.code().into(),
    };
    let goodbye = async {
        socket.send(Message::text(message.to_json())).await?;
        socket.send(Message::Close(Some(close))).await
    };
    // Who does not read it does without.
    drop(timeout(SLOW, goodbye).await);
    linger(&mut socket).await;
}

/// Reads on until the client has closed its side too (RFC 6455 §7.1.1), for a moment: a connection that is closed while
/// there is something unread is reset, and the client never reads why.
async fn linger(socket: &mut WebSocket) {
    let read = async { while let Some(Ok(_)) = socket.recv().await {} };
    drop(timeout(LINGER, read).await);
}

/// One client's WebSocket connection.
struct Connection {
    app: Arc<App>,
    socket: WebSocket,
    room: RoomName,
    member: Option<Member>,
    /// Whether the member's media flows.
    connected: bool,
    /// Whether the member came back and has said nothing since, so that it may not know its new session.
    unconfirmed: bool,
    bucket: Bucket,
    heard: Instant,
    closing: watch::Receiver<bool>,
}

/// How a connection ends.
struct End {
    member: Parting,
    close: Option<(u16, &'static str)>,
}

/// What becomes of the member when its connection ends.
enum Parting {
    /// It may come back.
    Stays,
    /// The room is told why.
    Leaves(Reason),
    /// It is gone already, or goes on over another connection.
    Done,
}

impl End {
    /// The connection is gone without a word.
    const LOST: Self = Self {
        member: Parting::Stays,
        close: None,
    };

    const fn closing(reason: Reason, code: u16, text: &'static str) -> Self {
        Self {
            member: Parting::Leaves(reason),
            close: Some((code, text)),
        }
    }

    /// After the last message.
    const fn done(code: u16, text: &'static str) -> Self {
        Self {
            member: Parting::Done,
            close: Some((code, text)),
        }
    }
}

impl Connection {
    fn new(app: Arc<App>, socket: WebSocket, room: RoomName) -> Self {
        let now = Instant::now();
        Self {
            closing: app.closing.clone(),
            bucket: Bucket::full(MESSAGES, now),
            app,
            socket,
            room,
            member: None,
            connected: false,
            unconfirmed: false,
            heard: now,
        }
    }

    async fn run(mut self) {
        let end = self.serve().await;
        match (self.member.take(), end.member) {
            (Some(member), Parting::Stays) => {
                // The member takes no connection's place meanwhile.
                drop(self.socket);
                return keep(&self.app, member, self.connected).await;
            }
            (Some(member), Parting::Leaves(reason)) => leave(&self.app, member, reason).await,
            (Some(_), Parting::Done) | (None, _) => {}
        }
        if let Some((code, reason)) = end.close {
            let close = Message::Close(Some(CloseFrame {
                code,
                reason: reason.into(),
            }));
            drop(timeout(SLOW, self.socket.send(close)).await);
            linger(&mut self.socket).await;
        }
    }

    async fn serve(&mut self) -> End {
        let mut ping = interval(self.app.silence / PINGS);
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut join_due = pin!(sleep(self.app.silence));
        loop {
            let step = tokio::select! {
                incoming = self.socket.recv() => self.handle_frame(incoming).await,
                message = next_message(&mut self.member) => self.pass_on(message).await,
                _ = ping.tick() => self.check_silence().await,
                () = &mut join_due, if self.member.is_none() => self.not_joined().await,
                // With a member the worker says goodbye.
                () = stopped(&mut self.closing), if self.member.is_none() => {
                    let sent = self.send(&ServerMessage::bye(Reason::Shutdown)).await;
                    sent.and(Err(End::closing(Reason::Shutdown, close_code::AWAY, "shutdown")))
                }
            };
            if let Err(end) = step {
                return end;
            }
        }
    }

    async fn handle_frame(&mut self, incoming: Option<Result<Message, axum::Error>>) -> Result<(), End> {
        let message = match incoming {
            None => return Err(End::LOST),
            Some(Ok(message)) => message,
            // The library's own type cannot be named here; a test holds the text in place.
            Some(Err(error)) if error.to_string().contains("too long") => return self.oversized().await,
            Some(Err(_)) => return Err(End::LOST),
        };
        self.heard = Instant::now();
        // Of whatever kind: a ping costs its answer.
        if !self.bucket.take(MESSAGES, self.heard) {
            self.app.raise(|c| &mut c.websocket_flood);
            let text = "You send messages faster than anybody needs to; the connection is closed.";
            self.error("flood", text, None).await?;
            return Err(End::closing(Reason::Closed, close_code::POLICY, "flood"));
        }
        match message {
            Message::Text(text) if text.len() > MAX_BODY => self.oversized().await,
            Message::Text(text) => self.handle_text(&text).await,
            Message::Binary(_) => {
                self.app.raise(|c| &mut c.websocket_binary);
                self.error("binary", "Messages have to be JSON in text frames, not binary.", None)
                    .await?;
                Err(End::closing(Reason::Closed, close_code::UNSUPPORTED, "binary"))
            }
            // The library answers pings and closes by itself.
            Message::Ping(_) | Message::Pong(_) => Ok(()),
            Message::Close(_) => Err(End::LOST),
        }
    }

    async fn oversized(&mut self) -> Result<(), End> {
        self.app.raise(|c| &mut c.websocket_oversized);
        let text = format!("A message may have at most {MAX_BODY} bytes; the connection is closed.");
        self.error("oversized", text, None).await?;
        Err(End::closing(Reason::Closed, close_code::SIZE, "oversized"))
    }

    async fn handle_text(&mut self, text: &str) -> Result<(), End> {
        match ClientMessage::read(text) {
            Ok(message) => self.handle_message(message).await,
            Err(Unreadable::NotJson) => {
                self.app.raise(|c| &mut c.websocket_not_json);
                self.error("not-json", "The message is not JSON.", None).await
            }
            Err(Unreadable::UnknownType) => {
                self.app.raise(|c| &mut c.websocket_unknown_type);
                let types = TYPES.join(", ");
                let text = format!("The message is no JSON object whose \"type\" is one of these: {types}.");
                self.error("unknown-type", text, None).await
            }
            Err(Unreadable::Invalid { kind, reason }) => {
                self.app.raise(|c| &mut c.websocket_invalid_message);
                let text = format!("The {kind} message has a missing or wrong field: {reason}.");
                self.error("invalid-message", text, Some(kind)).await
            }
        }
    }

    async fn handle_message(&mut self, message: ClientMessage) -> Result<(), End> {
        self.confirm();
        let kind = message.kind();
        let member = match (message, &self.member) {
            (ClientMessage::Ping {}, _) => return self.send(&ServerMessage::Pong {}).await,
            (ClientMessage::Leave {}, _) => return Err(End::closing(Reason::Left, close_code::NORMAL, "left")),
            (ClientMessage::Join { name }, None) => return self.join(&name).await,
            (ClientMessage::Resume { session }, None) => return self.resume(session).await,
            (ClientMessage::Join { .. } | ClientMessage::Resume { .. }, Some(_)) => {
                self.app.raise(|c| &mut c.websocket_out_of_order);
                return self
                    .error("already-joined", "You are in the room already.", Some(kind))
                    .await;
            }
            (_, None) => {
                self.app.raise(|c| &mut c.websocket_out_of_order);
                let text = "Send a join or resume message first.";
                return self.error("not-joined", text, Some(kind)).await;
            }
            (message, Some(member)) => (message, member.participant, member.seat.worker()),
        };
        let (message, participant, worker) = member;
        let mut id = None;
        let command = match message {
            ClientMessage::Offer { id: offer, sdp } => {
                id.clone_from(&offer);
                Command::Offer {
                    participant,
                    sdp,
                    answer: AnswerTo::Outbox(offer),
                }
            }
            ClientMessage::Candidate { candidate, sdp_mid } => Command::Candidate {
                participant,
                mid: sdp_mid,
                candidate,
            },
            ClientMessage::Sources { sources } => Command::Sources { participant, sources },
            ClientMessage::Mute { mid, muted } => Command::Mute {
                participant,
                mid,
                muted,
            },
            ClientMessage::View(view) => Command::View { participant, view },
            ClientMessage::Join { .. }
            | ClientMessage::Resume { .. }
            | ClientMessage::Leave {}
            | ClientMessage::Ping {} => return Ok(()),
        };
        match self.app.command(worker, command) {
            Ok(()) => Ok(()),
            Err((Unavailable::Busy, _)) => {
                let text = "The server has too much to do at the moment: try again in a few seconds.";
                self.error_about("busy", text, Some(kind), id).await
            }
            Err((Unavailable::Stopped, _)) => {
                self.send(&ServerMessage::bye(Reason::Shutdown)).await?;
                Err(End::closing(Reason::Shutdown, close_code::AWAY, "shutdown"))
            }
        }
    }

    /// Who says something over a new connection knows that it is let in.
    fn confirm(&mut self) {
        let Some(member) = self.member.as_ref().filter(|_| self.unconfirmed) else {
            return;
        };
        let Some(session) = member.session.clone() else {
            return;
        };
        let participant = member.participant;
        let confirm = Command::Confirm { participant, session };
        // A worker that is busy is told with the next message.
        self.unconfirmed = self.app.command(member.seat.worker(), confirm).is_err();
    }

    async fn join(&mut self, name: &str) -> Result<(), End> {
        let name = match DisplayName::new(name) {
            Ok(name) => name,
            Err(error) => {
                self.app.raise(|c| &mut c.invalid_participant_name);
                let problem = Problem::participant_name(error);
                return self
                    .error(problem.code(), problem.detail().to_owned(), Some("join"))
                    .await;
            }
        };
        let joined = self.app.join(Some(&self.room), name, Kind::Member, OUTBOX).await;
        self.welcome(joined, "join", ServerMessage::Joined).await
    }

    async fn resume(&mut self, session: Secret) -> Result<(), End> {
        let resumed = self.app.resume(&self.room, session, OUTBOX).await;
        self.unconfirmed = resumed.is_ok();
        self.welcome(resumed, "resume", ServerMessage::Resumed).await
    }

    async fn welcome(
        &mut self,
        member: Result<Member, Failure>,
        re: &'static str,
        message: impl Fn(Welcome) -> ServerMessage,
    ) -> Result<(), End> {
        let mut member = match member {
            Ok(member) => member,
            Err(failure) => {
                let problem = Problem::from(failure);
                return self.error(problem.code(), problem.detail().to_owned(), Some(re)).await;
            }
        };
        let invitation = self.app.invitation.as_ref();
        let ice_server = invitation.map(|all| all.ice_server(SystemTime::now(), &member.participant.0));
        let ice_servers = ice_server.into_iter().collect();
        let welcome = Welcome {
            participant: member.participant,
            // Members have one.
            session: member.session.clone().unwrap_or_else(Secret::random),
            name: member.name.as_str().into(),
            room: self.room.to_string(),
            participants: std::mem::take(&mut member.others),
            ice_servers,
        };
        // That it is told so comes later: whose connection breaks before must not be taken for somebody without media.
        self.connected = member.connected;
        self.member = Some(member);
        self.send(&message(welcome)).await
    }

    /// Sends on what the worker has for the client. `None` means that there will be no more.
    async fn pass_on(&mut self, message: Option<ServerMessage>) -> Result<(), End> {
        let Some(message) = message else {
            if self.is_worker_gone() {
                self.send(&ServerMessage::bye(Reason::Shutdown)).await?;
                return Err(End::done(close_code::AWAY, "shutdown"));
            }
            self.app.raise(|c| &mut c.websocket_slow_reader);
            self.send(&ServerMessage::bye(Reason::SlowReader)).await?;
            return Err(End::done(close_code::POLICY, "slow-reader"));
        };
        self.connected = flows(&message, self.member.as_ref(), self.connected);
        match &message {
            ServerMessage::Error { re: Some("offer"), .. } => self.app.raise(|c| &mut c.offer_refused),
            ServerMessage::Error {
                re: Some("candidate"), ..
            } => self.app.raise(|c| &mut c.candidate_refused),
            _ => {}
        }
        self.send(&message).await?;
        match message {
            ServerMessage::Bye {
                reason: Reason::Shutdown,
                ..
            } => Err(End::done(close_code::AWAY, "shutdown")),
            ServerMessage::Bye { .. } => Err(End::done(close_code::NORMAL, "bye")),
            _ => Ok(()),
        }
    }

    /// Whether the member's worker has ended, which a panic does without a word. It takes no commands from before its
    /// outboxes are gone.
    fn is_worker_gone(&self) -> bool {
        let worker = self.member.as_ref().map_or(usize::MAX, |member| member.seat.worker());
        let handle = self.app.workers.get(worker);
        handle.is_none_or(|handle| {
            let (reply, _) = oneshot::channel();
            matches!(handle.send(Command::Ping { reply }), Err((Unavailable::Stopped, _)))
        })
    }

    /// Who only looks at the door holds a connection for nothing.
    async fn not_joined(&mut self) -> Result<(), End> {
        self.app.raise(|c| &mut c.websocket_not_joined);
        let text = "No join message has come; the connection is closed.";
        self.error("join-timeout", text, None).await?;
        Err(End::closing(Reason::Closed, close_code::POLICY, "join-timeout"))
    }

    /// A client whose machine is gone sends nothing, not even the end of the connection.
    async fn check_silence(&mut self) -> Result<(), End> {
        if self.heard.elapsed() >= self.app.silence {
            self.app.raise(|c| &mut c.websocket_silent);
            return Err(End::LOST);
        }
        self.send_frame(Message::Ping(Vec::new().into())).await
    }

    async fn error(
        &mut self,
        code: &'static str,
        text: impl Into<Cow<'static, str>>,
        re: Option<&'static str>,
    ) -> Result<(), End> {
        self.error_about(code, text, re, None).await
    }

    async fn error_about(
        &mut self,
        code: &'static str,
        text: impl Into<Cow<'static, str>>,
        re: Option<&'static str>,
        id: Option<OfferId>,
    ) -> Result<(), End> {
        let message = text.into().into_owned();
        self.send(&ServerMessage::Error { code, message, re, id }).await
    }

    async fn send(&mut self, message: &ServerMessage) -> Result<(), End> {
        self.send_frame(Message::text(message.to_json())).await
    }

    async fn send_frame(&mut self, frame: Message) -> Result<(), End> {
        match timeout(SLOW, self.socket.send(frame)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(End::LOST),
            Err(_) => {
                self.app.raise(|c| &mut c.websocket_slow_reader);
                Err(End {
                    member: Parting::Leaves(Reason::SlowReader),
                    close: None,
                })
            }
        }
    }
}

/// Lets a member go. Until the worker has done so it may have messages, and holds its seat.
async fn leave(app: &App, mut member: Member, reason: Reason) {
    app.leave(&member.seat, member.participant, member.session.as_ref(), reason)
        .await;
    tokio::spawn(async move { while member.messages.recv().await.is_some() {} });
}

/// Keeps the place of a member whose connection is gone: until it comes back over another one, its media is silent, or
/// it takes too long. What it is told meanwhile it is told again when it comes back, so none of that is kept.
async fn keep(app: &App, mut member: Member, mut connected: bool) {
    let mut late = pin!(sleep(KEPT.min(app.silence)));
    loop {
        let message = match member.messages.try_recv() {
            Ok(message) => Some(message),
            Err(TryRecvError::Disconnected) => None,
            Err(TryRecvError::Empty) if !connected => return leave(app, member, Reason::Closed).await,
            Err(TryRecvError::Empty) => tokio::select! {
                message = member.messages.recv() => message,
                () = &mut late => return leave(app, member, Reason::Closed).await,
            },
        };
        match message {
            None | Some(ServerMessage::Bye { .. }) => return,
            Some(message) => connected = flows(&message, Some(&member), connected),
        }
    }
}

/// Whether a member's media flows, by what it is told.
fn flows(message: &ServerMessage, member: Option<&Member>, before: bool) -> bool {
    match message {
        ServerMessage::Connection { participant, state }
            if member.is_some_and(|own| own.participant == *participant) =>
        {
            *state == ConnectionState::Connected
        }
        _ => before,
    }
}

/// The next message of the worker; never, before there is a member.
async fn next_message(member: &mut Option<Member>) -> Option<ServerMessage> {
    match member {
        Some(member) => member.messages.recv().await,
        None => std::future::pending().await,
    }
}

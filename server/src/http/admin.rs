//! For whoever runs the server: who is there, and ways to send people away. Only with a token, and only if there is
//! one.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use axum::{middleware, routing};
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use crate::RoomName;
use crate::app::App;
use crate::engine::ParticipantId;
use crate::http::InRoom;
use crate::http::problem::Problem;
use crate::roll::Present;
use crate::worker::Command;

pub(super) fn routes(app: &Arc<App>) -> Router<Arc<App>> {
    Router::new()
        .route("/v1/rooms", routing::get(rooms))
        .route("/v1/rooms/{room}", routing::delete(close_room))
        .route("/v1/rooms/{room}/participants/{participant}", routing::delete(kick))
        .method_not_allowed_fallback(super::method_not_allowed)
        .layer(middleware::from_fn_with_state(app.clone(), authorize))
}

/// Lets those through who have the token (RFC 6750 §2.1).
async fn authorize(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let given = bearer(request.headers());
    let wanted = app.admin_token.as_ref();
    if wanted.zip(given).is_some_and(|(wanted, given)| wanted.matches(given)) {
        return next.run(request).await;
    }
    app.raise(|c| &mut c.admin_unauthorized);
    let detail = "This address is for whoever runs the server: the request needs an Authorization header with Bearer and \
                  the token that the server was started with.";
    let mut response = Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", detail).into_response();
    let challenge = HeaderValue::from_static("Bearer realm=\"hyaline\"");
    response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
    response
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}

#[derive(Debug, Serialize)]
struct Rooms {
    rooms: Vec<Room>,
}

#[derive(Debug, Serialize)]
struct Room {
    room: String,
    participants: Vec<Present>,
}

/// `GET /v1/rooms`: rooms with somebody in them, by name, and who that is, in the order of joining.
async fn rooms(State(app): State<Arc<App>>) -> Result<Response, Problem> {
    let mut rooms = BTreeMap::new();
    for worker in 0..app.workers.len() {
        let (reply, answer) = oneshot::channel();
        // A room lives on one worker.
        rooms.extend(app.ask(worker, Command::Rooms { reply }, answer).await?);
    }
    let rooms = rooms
        .into_iter()
        .map(|(room, participants)| Room { room, participants });
    let uncached = [(header::CACHE_CONTROL, "no-store")];
    Ok((uncached, Json(Rooms { rooms: rooms.collect() })).into_response())
}

/// `DELETE /v1/rooms/{room}`: everybody has to go. Who wants may come again: it is a new room then.
async fn close_room(State(app): State<Arc<App>>, InRoom(room): InRoom) -> Result<StatusCode, Problem> {
    if dismiss(&app, &room, None).await? == 0 {
        let detail = "There is nobody in a room of this name.";
        return Err(Problem::new(StatusCode::NOT_FOUND, "unknown-room", detail));
    }
    tracing::info!(room = room.as_str(), "a room was closed");
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Debug, Deserialize)]
struct ParticipantPath {
    participant: String,
}

/// `DELETE /v1/rooms/{room}/participants/{participant}`: one has to go.
async fn kick(
    State(app): State<Arc<App>>,
    InRoom(room): InRoom,
    path: Option<Path<ParticipantPath>>,
) -> Result<StatusCode, Problem> {
    let participant = path.and_then(|path| path.participant.parse().ok()).map(ParticipantId);
    let gone = match participant {
        Some(participant) => dismiss(&app, &room, Some(participant)).await?,
        None => 0,
    };
    if gone == 0 {
        let detail = "There is no such participant in this room.";
        return Err(Problem::new(StatusCode::NOT_FOUND, "unknown-participant", detail));
    }
    tracing::info!(room = room.as_str(), ?participant, "a participant was sent away");
    Ok(StatusCode::NO_CONTENT)
}

/// Sends one away, or everybody in a room. How many that were.
async fn dismiss(app: &App, room: &RoomName, participant: Option<ParticipantId>) -> Result<usize, Problem> {
    let Some(worker) = app.placement.find(room) else {
        return Ok(0);
    };
    let (reply, answer) = oneshot::channel();
    let command = Command::Dismiss {
        room: room.to_string(),
        participant,
        reply,
    };
    Ok(app.ask(worker, command, answer).await?)
}

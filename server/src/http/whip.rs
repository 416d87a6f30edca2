use std::sync::Arc;

use axum::body::Body;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{OriginalUri, Path, Query, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::MethodRouter;
use serde::Deserialize;
use tokio::sync::mpsc;

use crate::app::{App, Failure, Member};
use crate::engine::{Kind, Reason};
use crate::http::problem::Problem;
use crate::http::sessions::{IfMatch, Session, new_entity_tag};
use crate::http::{InRoom, SDP, SDP_FRAGMENT, text_body};
use crate::protocol::ServerMessage;
use crate::secret::unguessable;
use crate::worker::Unavailable;
use crate::{DisplayName, RoomName};

/// Nobody but the task that waits for the end reads these messages, so there are never many.
const MESSAGES: usize = 64;

const ACCEPT_POST: HeaderName = HeaderName::from_static("accept-post");
const ACCEPT_PATCH: HeaderName = HeaderName::from_static("accept-patch");

#[derive(Debug, Deserialize)]
pub(super) struct PublishQuery {
    /// The name that others see.
    #[serde(default)]
    name: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct ViewQuery {
    /// The name of the publisher to be seen.
    #[serde(default)]
    source: Option<String>,
}

/// `POST /whip/{room}` (RFC 9725 §4.2).
pub(super) async fn publish(
    State(app): State<Arc<App>>,
    InRoom(room): InRoom,
    query: Result<Query<PublishQuery>, QueryRejection>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let Query(query) = readable(&app, query)?;
    let sdp = text_body(&app, &headers, body, SDP).await?;
    let name = display_name(&app, query.name.as_deref().unwrap_or("publisher"))?;
    create(app, "/whip", Some(room), name, Kind::Publisher, sdp).await
}

/// `POST /whep/{room}` (draft-ietf-wish-whep §4.2). It is 201 also when nobody publishes yet: the picture comes with
/// the publisher.
pub(super) async fn view(
    State(app): State<Arc<App>>,
    InRoom(room): InRoom,
    query: Result<Query<ViewQuery>, QueryRejection>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let Query(query) = readable(&app, query)?;
    let sdp = text_body(&app, &headers, body, SDP).await?;
    let source = query.source.map(|name| display_name(&app, &name)).transpose()?;
    let kind = Kind::Viewer {
        source: source.map(DisplayName::into_string),
    };
    let name = display_name(&app, "viewer")?;
    create(app, "/whep", Some(room), name, kind, sdp).await
}

/// `POST /v1/echo`: one complete offer in, the answer out. The session can be ended like one of WHIP; else it lives
/// until its connection is closed, or silent for long enough.
pub(super) async fn echo(State(app): State<Arc<App>>, headers: HeaderMap, body: Body) -> Result<Response, Problem> {
    let sdp = text_body(&app, &headers, body, SDP).await?;
    let name = display_name(&app, "echo")?;
    create(app, "/v1/echo", None, name, Kind::Echo, sdp).await
}

async fn create(
    app: Arc<App>,
    endpoint: &str,
    room: Option<RoomName>,
    name: DisplayName,
    kind: Kind,
    sdp: String,
) -> Result<Response, Problem> {
    let endpoint = room
        .as_ref()
        .map_or_else(|| endpoint.to_owned(), |room| format!("{endpoint}/{room}"));
    to_the_end(async move {
        let member = app.join(room.as_ref(), name, kind, MESSAGES).await?;
        establish(app, &endpoint, member, sdp).await
    })
    .await
}

/// Does something that must not be left half done, in a task of its own: a client that hangs up in the middle ends its
/// request's task.
async fn to_the_end<T: Send + 'static>(
    work: impl Future<Output = Result<T, Problem>> + Send + 'static,
) -> Result<T, Problem> {
    let work = tokio::spawn(work);
    work.await
        .unwrap_or_else(|_| Err(Failure::Unavailable(Unavailable::Stopped).into()))
}

async fn establish(app: Arc<App>, endpoint: &str, member: Member, sdp: String) -> Result<Response, Problem> {
    let answer = answer(&app, &member, sdp).await?;
    let id = unguessable();
    let location = format!("{endpoint}/{id}");
    let entity_tag = new_entity_tag();
    let headers = [
        (header::CONTENT_TYPE, SDP.to_owned()),
        (header::LOCATION, location.clone()),
        (header::ETAG, entity_tag.clone()),
    ];
    let session = Session {
        id: id.clone(),
        location,
        participant: member.participant,
        seat: member.seat,
        entity_tag: tokio::sync::Mutex::new(entity_tag),
    };
    app.sessions.insert(id.clone(), Arc::new(session));
    tokio::spawn(async move {
        until_the_end(member.messages).await;
        app.sessions.remove(&id);
    });
    Ok((StatusCode::CREATED, headers, answer).into_response())
}

/// The answer to the offer; without one the participant has to go again.
async fn answer(app: &Arc<App>, member: &Member, sdp: String) -> Result<String, Problem> {
    match app.offer(member.seat.worker(), member.participant, sdp).await {
        Ok(answer) => Ok(answer),
        Err(failure) => {
            app.leave(&member.seat, member.participant, None, Reason::Failed).await;
            Err(failure.into())
        }
    }
}

async fn until_the_end(mut messages: mpsc::Receiver<ServerMessage>) {
    while let Some(message) = messages.recv().await {
        if let ServerMessage::Bye { reason, .. } = message {
            tracing::debug!(?reason, "a session has ended");
            return;
        }
    }
}

/// What can be done with the URL of a session.
pub(super) fn session_routes() -> MethodRouter<Arc<App>> {
    axum::routing::patch(update)
        .delete(end)
        .get(describe_session)
        .options(session_options)
}

#[derive(Debug, Deserialize)]
pub(super) struct SessionPath {
    session: String,
}

/// The session of an address, which may be one that cannot be read.
fn session(
    app: &App,
    path: Result<Path<SessionPath>, PathRejection>,
    uri: &OriginalUri,
) -> Result<Arc<Session>, Problem> {
    let session = path.ok().and_then(|path| app.sessions.get(&path.session, uri.path()));
    session.ok_or_else(|| {
        app.raise(|c| &mut c.unknown_session);
        let detail = "There is no such session: it has ended, or its address is wrong.";
        Problem::new(StatusCode::NOT_FOUND, "unknown-session", detail)
    })
}

/// `PATCH` on a session (RFC 9725 §4.3): candidates, answered with 204, or an ICE restart, answered with 200.
async fn update(
    State(app): State<Arc<App>>,
    path: Result<Path<SessionPath>, PathRejection>,
    uri: OriginalUri,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let session = session(&app, path, &uri)?;
    let fragment = text_body(&app, &headers, body, SDP_FRAGMENT).await?;
    to_the_end(async move { change(&app, &session, &headers, fragment).await }).await
}

async fn change(app: &App, session: &Session, headers: &HeaderMap, fragment: String) -> Result<Response, Problem> {
    let mut entity_tag = session.entity_tag.lock().await;
    check_precondition(app, headers, &entity_tag)?;
    let restarted = app
        .fragment(session.seat.worker(), session.participant, fragment)
        .await?;
    let Some(answer) = restarted else {
        return Ok(StatusCode::NO_CONTENT.into_response());
    };
    *entity_tag = new_entity_tag();
    let headers = [
        (header::CONTENT_TYPE, SDP_FRAGMENT.to_owned()),
        (header::ETAG, entity_tag.clone()),
    ];
    Ok((StatusCode::OK, headers, answer).into_response())
}

/// RFC 9725 §4.3.1: 428 without If-Match, 412 when it names another ICE session. The asterisk, which a client sends to
/// restart ICE, matches every session.
fn check_precondition(app: &App, headers: &HeaderMap, entity_tag: &str) -> Result<(), Problem> {
    let mut given = headers.get_all(header::IF_MATCH).iter().peekable();
    if given.peek().is_none() {
        app.raise(|c| &mut c.precondition_missing);
        let detail = "The request needs an If-Match header with the session's ETag, or with * to restart ICE.";
        return Err(Problem::new(
            StatusCode::PRECONDITION_REQUIRED,
            "precondition-missing",
            detail,
        ));
    }
    let matches = |value: &HeaderValue| {
        value
            .to_str()
            .is_ok_and(|value| IfMatch::compare(value, entity_tag) == IfMatch::Matches)
    };
    if given.any(matches) {
        return Ok(());
    }
    app.raise(|c| &mut c.precondition_failed);
    let detail = "The request is about an ICE session that has been replaced: its ETag is not the present one.";
    Err(Problem::new(
        StatusCode::PRECONDITION_FAILED,
        "precondition-failed",
        detail,
    ))
}

/// `DELETE` on a session. Preconditions do not matter here (RFC 9725 §4.3.1).
async fn end(
    State(app): State<Arc<App>>,
    path: Result<Path<SessionPath>, PathRejection>,
    uri: OriginalUri,
) -> Result<StatusCode, Problem> {
    let session = session(&app, path, &uri)?;
    to_the_end(async move {
        app.sessions.remove(&session.id);
        app.leave(&session.seat, session.participant, None, Reason::Left).await;
        Ok(StatusCode::OK)
    })
    .await
}

/// `GET` and `HEAD` on an endpoint: there is nothing to see, but this is how players recognise one
/// (draft-ietf-wish-whep §4.1).
pub(super) async fn describe_endpoint() -> Response {
    (StatusCode::OK, [(header::CONTENT_TYPE, SDP), (ACCEPT_POST, SDP)]).into_response()
}

async fn describe_session(
    State(app): State<Arc<App>>,
    path: Result<Path<SessionPath>, PathRejection>,
    uri: OriginalUri,
) -> Result<StatusCode, Problem> {
    session(&app, path, &uri)?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn endpoint_options() -> Response {
    options("GET, HEAD, POST, OPTIONS", ACCEPT_POST, SDP)
}

async fn session_options() -> Response {
    options("GET, HEAD, PATCH, DELETE, OPTIONS", ACCEPT_PATCH, SDP_FRAGMENT)
}

fn options(methods: &'static str, accept: HeaderName, content_type: &'static str) -> Response {
    let headers = [
        (header::ALLOW, methods),
        (header::ACCESS_CONTROL_ALLOW_METHODS, methods),
        (
            header::ACCESS_CONTROL_ALLOW_HEADERS,
            "Authorization, Content-Type, If-Match",
        ),
        (header::ACCESS_CONTROL_MAX_AGE, "86400"),
        (accept, content_type),
    ];
    (StatusCode::OK, headers).into_response()
}

fn readable<T>(app: &App, query: Result<T, QueryRejection>) -> Result<T, Problem> {
    query.map_err(|rejection| {
        app.raise(|c| &mut c.invalid_query);
        let detail = format!(
            "The parameters in the address cannot be read: {}.",
            rejection.body_text()
        );
        Problem::new(StatusCode::BAD_REQUEST, "invalid-query", detail)
    })
}

fn display_name(app: &App, name: &str) -> Result<DisplayName, Problem> {
    DisplayName::new(name).map_err(|error| {
        app.raise(|c| &mut c.invalid_participant_name);
        Problem::participant_name(error)
    })
}

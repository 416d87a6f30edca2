//! Signalling over HTTP: the routes and what they have in common.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::rejection::{BytesRejection, FailedToBufferBody};
use axum::extract::{DefaultBodyLimit, FromRequest, FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use tokio::time::timeout;

use crate::RoomName;
use crate::app::App;
use crate::http::problem::Problem;
use crate::listener::ClientAddr;

mod admin;
mod metrics;
mod page;
pub(crate) mod problem;
pub(crate) mod sessions;
mod websocket;
mod whip;

pub use page::PAGE_POLICY;

/// The longest body and the longest WebSocket message, in bytes: the longest SDP that is read. The offer of a browser
/// with 32 slots has 100 kB.
pub(crate) const MAX_BODY: usize = 256 << 10;

pub(crate) const SDP: &str = "application/sdp";
pub(crate) const SDP_FRAGMENT: &str = "application/trickle-ice-sdpfrag";

pub(crate) fn router(app: Arc<App>) -> Router {
    let media = Router::new()
        .route(
            "/whip/{room}",
            post(whip::publish)
                .get(whip::describe_endpoint)
                .options(whip::endpoint_options),
        )
        .route(
            "/whep/{room}",
            post(whip::view)
                .get(whip::describe_endpoint)
                .options(whip::endpoint_options),
        )
        .route(
            "/v1/echo",
            post(whip::echo)
                .get(whip::describe_endpoint)
                .options(whip::endpoint_options),
        )
        .route("/whip/{room}/{session}", whip::session_routes())
        .route("/whep/{room}/{session}", whip::session_routes())
        .route("/v1/echo/{session}", whip::session_routes())
        .method_not_allowed_fallback(method_not_allowed)
        .layer(from_fn_with_state(app.clone(), limit_rate))
        // Outside of the limit: a page has to see that it was refused, and when to come back.
        .layer(axum::middleware::map_response(allow_other_origins));
    let rooms = Router::new()
        .route("/v1/rooms/{room}/ws", get(websocket::upgrade))
        .route("/metrics", get(metrics::metrics))
        .method_not_allowed_fallback(method_not_allowed);
    // Without a token these addresses do not exist.
    let rooms = match app.admin_token {
        Some(_) => rooms.merge(admin::routes(&app)),
        None => rooms,
    };
    let rooms = rooms.layer(from_fn_with_state(app.clone(), limit_rate));
    // Not limited: behind a proxy its own checks have the same address as everybody, and they cost next to nothing.
    let health = Router::new().route("/healthz", get(metrics::health));
    Router::new()
        .merge(page::routes())
        .merge(health)
        .method_not_allowed_fallback(method_not_allowed)
        .merge(media)
        .merge(rooms)
        .fallback(not_found)
        .layer(axum::middleware::map_response(explain))
        .with_state(app)
}

async fn method_not_allowed(State(app): State<Arc<App>>, method: Method) -> Problem {
    app.raise(|c| &mut c.method_not_allowed);
    let detail = format!("This address is not for {method}: the Allow header has what it is for.");
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", detail)
}

/// What the library refuses by itself, with a text of its own, is told like everything else.
async fn explain(response: Response) -> Response {
    if response.status() != StatusCode::BAD_REQUEST || is_ours(&response) {
        return response;
    }
    let detail = "The address of this request cannot be read.";
    Problem::new(StatusCode::BAD_REQUEST, "malformed", detail).into_response()
}

/// Our own refusals are problems, or pages.
fn is_ours(response: &Response) -> bool {
    let content_type = response.headers().get(header::CONTENT_TYPE);
    content_type.is_some_and(|value| value == problem::CONTENT_TYPE || value == page::HTML)
}

async fn not_found() -> Problem {
    Problem::new(
        StatusCode::NOT_FOUND,
        "not-found",
        "There is nothing at this address: rooms are at /r/NAME.",
    )
}

/// Pages of any origin may use WHIP, WHEP and the echo, as players and publishing pages are served from elsewhere. The
/// permission is without credentials, so such a page borrows nobody's name; but it does borrow its visitor's place in
/// the network, and reaches a server on loopback this way. `docs/signalling.md` has it among the deviations.
async fn allow_other_origins(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    headers.insert(
        header::ACCESS_CONTROL_EXPOSE_HEADERS,
        HeaderValue::from_static("Location, ETag, Link, Accept-Post, Accept-Patch, Retry-After"),
    );
    response
}

async fn limit_rate(
    State(app): State<Arc<App>>,
    ClientAddr(client): ClientAddr,
    request: Request,
    next: Next,
) -> Response {
    // A browser's preflight comes before the request that counts.
    if *request.method() != Method::OPTIONS && !app.admit(client.ip()) {
        return Problem::rate_limited().into_response();
    }
    next.run(request).await
}

/// The room of a URL, checked.
pub(crate) struct InRoom(pub(crate) RoomName);

impl FromRequestParts<Arc<App>> for InRoom {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        let room = room_of_path(parts, app).await?;
        let room = RoomName::new(&room).map_err(|error| {
            app.raise(|c| &mut c.invalid_room_name);
            Problem::room_name(error)
        })?;
        Ok(Self(room))
    }
}

/// What stands in the URL for the room, whether it is a name or not.
pub(crate) async fn room_of_path(parts: &mut Parts, app: &Arc<App>) -> Result<String, Problem> {
    use axum::extract::RawPathParams;
    let unreadable = || {
        app.raise(|c| &mut c.invalid_room_name);
        Problem::new(
            StatusCode::BAD_REQUEST,
            "invalid-room-name",
            "The room's name in the address cannot be read.",
        )
    };
    let params = RawPathParams::from_request_parts(parts, app)
        .await
        .map_err(|_| unreadable())?;
    let room = params
        .iter()
        .find(|(name, _)| *name == "room")
        .map(|(_, value)| value.to_owned());
    room.ok_or_else(unreadable)
}

/// Takes a body of the given content type and of a size that makes sense.
pub(crate) async fn text_body(app: &App, headers: &HeaderMap, body: Body, expected: &str) -> Result<String, Problem> {
    expect_content_type(app, headers, expected)?;
    let unreadable = |status, code, detail: String| {
        app.raise(|c| &mut c.unreadable_body);
        Problem::new(status, code, detail)
    };
    // Who sends it byte by byte, or never, holds a connection for no longer than a silent WebSocket.
    let mut request = Request::new(body);
    DefaultBodyLimit::max(MAX_BODY).apply(&mut request);
    let bytes = timeout(app.silence, Bytes::from_request(request, &())).await;
    let bytes = bytes.map_err(|_| {
        let detail = format!("The body did not come within {} s.", app.silence.as_secs());
        unreadable(StatusCode::REQUEST_TIMEOUT, "too-slow", detail)
    })?;
    let bytes = bytes.map_err(|rejection| match rejection {
        BytesRejection::FailedToBufferBody(FailedToBufferBody::LengthLimitError(_)) => {
            let detail = format!("The body is longer than {MAX_BODY} bytes.");
            unreadable(StatusCode::PAYLOAD_TOO_LARGE, "too-large", detail)
        }
        _ => {
            let detail = "The body is broken, or its end did not come.".to_owned();
            unreadable(StatusCode::BAD_REQUEST, "malformed", detail)
        }
    })?;
    String::from_utf8(bytes.into()).map_err(|error| {
        let detail = format!(
            "The body is not UTF-8: byte {} is wrong.",
            error.utf8_error().valid_up_to() + 1
        );
        unreadable(StatusCode::BAD_REQUEST, "malformed", detail)
    })
}

fn expect_content_type(app: &App, headers: &HeaderMap, expected: &str) -> Result<(), Problem> {
    let given = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = given.and_then(|value| value.split(';').next()).map(str::trim);
    if essence.is_some_and(|essence| essence.eq_ignore_ascii_case(expected)) {
        return Ok(());
    }
    app.raise(|c| &mut c.wrong_content_type);
    let given = given.unwrap_or("nothing");
    let detail = format!("The content type has to be {expected}, but the request says {given}.");
    Err(Problem::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "wrong-content-type",
        detail,
    ))
}

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::NameError;
use crate::app::Failure;
use crate::engine::RefusalKind;
use crate::worker::Unavailable;

pub(crate) const CONTENT_TYPE: &str = "application/problem+json";

/// Why a request was not fulfilled: the status, a code for programs, and a sentence for people (RFC 9457).
#[derive(Debug)]
pub(crate) struct Problem {
    status: StatusCode,
    code: &'static str,
    detail: String,
    retry_after: Option<u32>,
    /// The host that the request was for, as far as that helps.
    host: Option<String>,
}

impl Problem {
    pub(crate) fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self {
            status,
            code,
            detail: detail.into(),
            retry_after: None,
            host: None,
        }
    }

    pub(crate) const fn code(&self) -> &'static str {
        self.code
    }

    pub(crate) fn detail(&self) -> &str {
        &self.detail
    }

    /// Says after how many seconds it is worth trying again.
    pub(crate) const fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// Says which host the request was for, as it arrived here.
    pub(crate) fn host(mut self, host: Option<&str>) -> Self {
        self.host = host.map(str::to_owned);
        self
    }

    pub(crate) fn rate_limited() -> Self {
        let detail = "There were too many requests from your address: wait a few seconds and try again.";
        Self::new(StatusCode::TOO_MANY_REQUESTS, "rate-limited", detail).retry_after(5)
    }

    pub(crate) fn room_name(error: NameError) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid-room-name", error.to_string())
    }

    pub(crate) fn participant_name(error: NameError) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid-name", error.to_string())
    }
}

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Refused(refusal) => match refusal.kind {
                RefusalKind::Malformed => Self::new(StatusCode::BAD_REQUEST, "malformed", refusal.message),
                RefusalKind::Unusable => Self::new(StatusCode::UNPROCESSABLE_ENTITY, "unusable-offer", refusal.message),
                RefusalKind::Unknown => Self::new(StatusCode::NOT_FOUND, "unknown-session", refusal.message),
                RefusalKind::Full => {
                    Self::new(StatusCode::SERVICE_UNAVAILABLE, "full", refusal.message).retry_after(10)
                }
            },
            Failure::Unavailable(Unavailable::Busy) => {
                let detail = "The server has too much to do at the moment: try again in a few seconds.";
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "busy", detail).retry_after(2)
            }
            Failure::Unavailable(Unavailable::Stopped) => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "stopped", "The server is stopping.")
            }
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut body = json!({
            "type": "about:blank",
            "title": self.status.canonical_reason(),
            "status": self.status.as_u16(),
            "code": self.code,
            "detail": self.detail,
        });
        if let Some(host) = self.host {
            body["host"] = host.into();
        }
        let mut response = (self.status, body.to_string()).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(CONTENT_TYPE));
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

use std::sync::Arc;

use axum::Router;
use axum::extract::Path;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use crate::app::App;
use crate::http::InRoom;
use crate::http::problem::Problem;

/// The files of the page: its HTML at addresses of their own, the rest under `/assets/`.
macro_rules! embedded {
    ($($name:literal: $content_type:expr),* $(,)?) => {
        &[$(File {
            name: $name,
            content_type: $content_type,
            content: include_bytes!(concat!("../../web/", $name)),
        }),*]
    };
}

#[derive(Debug)]
struct File {
    name: &'static str,
    content_type: &'static str,
    content: &'static [u8],
}

const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
const SVG: &str = "image/svg+xml";

const FILES: &[File] = embedded! {
    "index.html": HTML,
    "room.html": HTML,
    "echo.html": HTML,
    "devices.js": SCRIPT,
    "echo.js": SCRIPT,
    "figures.js": SCRIPT,
    "hyaline.js": SCRIPT,
    "index.js": SCRIPT,
    "reasons.js": SCRIPT,
    "room.js": SCRIPT,
    "session.js": SCRIPT,
    "tiles.js": SCRIPT,
    "style.css": STYLE,
    "favicon.svg": SVG,
};

/// Only what this server serves runs in the page: a name with markup in it could do nothing even if it were not
/// escaped.
const POLICY: &str = "default-src 'self'; connect-src 'self' ws: wss:; img-src 'self' data: blob:; \
                      media-src 'self' blob: mediastream:; style-src 'self' 'unsafe-inline'; \
                      frame-ancestors 'self'; base-uri 'none'; form-action 'self'";

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route(
            "/",
            get(|headers: HeaderMap| async move { page("index.html", &headers) }),
        )
        .route(
            "/r/{room}",
            get(|InRoom(_): InRoom, headers: HeaderMap| async move { page("room.html", &headers) }),
        )
        .route(
            "/echo",
            get(|headers: HeaderMap| async move { page("echo.html", &headers) }),
        )
        .route("/assets/{name}", get(asset))
        .route(
            "/favicon.ico",
            get(|headers: HeaderMap| async move { page("favicon.svg", &headers) }),
        )
}

async fn asset(Path(name): Path<String>, headers: HeaderMap) -> Response {
    page(&name, &headers)
}

fn page(name: &str, headers: &HeaderMap) -> Response {
    let Some(file) = FILES.iter().find(|file| file.name == name) else {
        return Problem::new(StatusCode::NOT_FOUND, "not-found", "The page has no such file.").into_response();
    };
    let entity_tag = file.entity_tag();
    let known = headers
        .get(header::IF_NONE_MATCH)
        .is_some_and(|value| value.as_bytes() == entity_tag.as_bytes());
    let common = [
        // Files change with the server, so a browser has to ask, but need not fetch what it has.
        (header::CACHE_CONTROL, "no-cache"),
        (header::ETAG, &entity_tag),
        (header::CONTENT_TYPE, file.content_type),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    if known {
        return (StatusCode::NOT_MODIFIED, common).into_response();
    }
    (common, file.content).into_response()
}

impl File {
    /// FNV-1a of the content: it only has to differ from one version of the server to the next.
    fn entity_tag(&self) -> String {
        let hash = self.content.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
        });
        format!("\"{hash:016x}\"")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_of_the_page_is_embedded() {
        let directory = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("web");
        let mut there: Vec<String> = std::fs::read_dir(directory)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        let mut listed: Vec<String> = FILES.iter().map(|file| file.name.to_owned()).collect();
        there.sort();
        listed.sort();
        assert_eq!(listed, there);
    }

    #[test]
    fn nothing_comes_from_elsewhere() {
        for file in FILES.iter().filter(|file| file.content_type != SVG) {
            let text = std::str::from_utf8(file.content).unwrap();
            for foreign in [
                "src=\"http",
                "href=\"http",
                "from 'http",
                "import('http",
                "url(http",
                "src=\"//",
            ] {
                assert!(!text.contains(foreign), "{} has {foreign}", file.name);
            }
            assert!(
                !text.contains("<script>"),
                "{} has an inline script, which the policy forbids",
                file.name
            );
        }
    }
}

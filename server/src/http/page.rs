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

pub(super) const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
/// What editors read: a browser that is shown it shows it.
const TYPES: &str = "text/plain; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
const SVG: &str = "image/svg+xml";

const FILES: &[File] = embedded! {
    "index.html": HTML,
    "room.html": HTML,
    "echo.html": HTML,
    "wrong-room.html": HTML,
    "channel.js": SCRIPT,
    "chat.js": SCRIPT,
    "choices.js": SCRIPT,
    "codecs.js": SCRIPT,
    "devices.js": SCRIPT,
    "drop.js": SCRIPT,
    "echo.js": SCRIPT,
    "entry.js": SCRIPT,
    "figures.js": SCRIPT,
    "files.js": SCRIPT,
    "hyaline.d.ts": TYPES,
    "hyaline.js": SCRIPT,
    "index.js": SCRIPT,
    "keys.js": SCRIPT,
    "layout.js": SCRIPT,
    "line.js": SCRIPT,
    "measure.js": SCRIPT,
    "memory.js": SCRIPT,
    "news.js": SCRIPT,
    "notices.js": SCRIPT,
    "own.js": SCRIPT,
    "panel.js": SCRIPT,
    "participant.js": SCRIPT,
    "reasons.js": SCRIPT,
    "receiving.js": SCRIPT,
    "room.js": SCRIPT,
    "sending.js": SCRIPT,
    "session.js": SCRIPT,
    "stores.js": SCRIPT,
    "synchrony.js": SCRIPT,
    "tabs.js": SCRIPT,
    "talk.js": SCRIPT,
    "tiles.js": SCRIPT,
    "view.js": SCRIPT,
    "words.js": SCRIPT,
    "style.css": STYLE,
    "favicon.svg": SVG,
};

/// The `Content-Security-Policy` of the page. Only what this server serves runs in it, and it speaks with this server
/// alone: a name with markup in it could do nothing even if it were not escaped.
///
/// `'self'` includes the WebSocket of the same host (CSP3 §6.7.2.8), which Safari knows since 15.4. For older ones
/// every host would have to be allowed (`ws: wss:`), as the server does not know by which names it is reached; they
/// lack what the page's style needs, too.
pub const PAGE_POLICY: &str = "default-src 'self'; frame-ancestors 'self'; base-uri 'none'; form-action 'self'";

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route(
            "/",
            get(|headers: HeaderMap| async move { page("index.html", &headers) }),
        )
        .route(
            "/r/{room}",
            get(|room: Result<InRoom, Problem>, headers: HeaderMap| async move {
                match room {
                    Ok(_) => page("room.html", &headers),
                    Err(problem) => wrong_room(problem, &headers),
                }
            }),
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

/// A person gets a page, a program the problem.
fn wrong_room(problem: Problem, headers: &HeaderMap) -> Response {
    let accepted = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
    let file = FILES.iter().find(|file| file.name == "wrong-room.html");
    let (Some(file), true) = (file, accepted.is_some_and(|types| types.contains("text/html"))) else {
        return problem.into_response();
    };
    let reason = escaped(problem.detail());
    let body = String::from_utf8_lossy(file.content).replace("{reason}", &reason);
    (StatusCode::BAD_REQUEST, common(file), body).into_response()
}

/// As the text of an element.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn common(file: &File) -> [(header::HeaderName, &'static str); 5] {
    [
        // Files change with the server, so a browser has to ask, but need not fetch what it has.
        (header::CACHE_CONTROL, "no-cache"),
        (header::CONTENT_TYPE, file.content_type),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CONTENT_SECURITY_POLICY, PAGE_POLICY),
        (header::REFERRER_POLICY, "no-referrer"),
    ]
}

fn page(name: &str, headers: &HeaderMap) -> Response {
    let Some(file) = FILES.iter().find(|file| file.name == name) else {
        return Problem::new(StatusCode::NOT_FOUND, "not-found", "The page has no such file.").into_response();
    };
    let entity_tag = file.entity_tag();
    let known = headers
        .get(header::IF_NONE_MATCH)
        .is_some_and(|value| value.as_bytes() == entity_tag.as_bytes());
    let entity_tag = [(header::ETAG, entity_tag)];
    if known {
        return (StatusCode::NOT_MODIFIED, common(file), entity_tag).into_response();
    }
    (common(file), entity_tag, file.content).into_response()
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
    use std::collections::BTreeSet;

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

    /// The names of the files that one of them loads, itself included: those named in its text, and in theirs.
    fn loaded(name: &'static str) -> BTreeSet<&'static str> {
        let mut loaded = BTreeSet::from([name]);
        let mut to_read = vec![name];
        while let Some(name) = to_read.pop() {
            let file = FILES.iter().find(|file| file.name == name).unwrap();
            let text = std::str::from_utf8(file.content).unwrap();
            // `from './line.js'`, `href="/assets/style.css"`.
            let named = |other: &File| {
                ["'./", "\"/assets/"]
                    .iter()
                    .any(|before| text.contains(&format!("{before}{}", other.name)))
            };
            for other in FILES.iter().filter(|other| named(other)) {
                if loaded.insert(other.name) {
                    to_read.push(other.name);
                }
            }
        }
        loaded
    }

    /// With everything that it loads, uncompressed: a page is there before a person on a slow link wonders.
    #[test]
    fn each_page_is_small() {
        for page in FILES.iter().filter(|file| file.content_type == HTML) {
            let loaded = loaded(page.name);
            let bytes: usize = FILES
                .iter()
                .filter(|file| loaded.contains(file.name))
                .map(|file| file.content.len())
                .sum();
            println!("{}: {bytes} bytes in {} files", page.name, loaded.len());
            assert!(bytes < 220_000, "{}: {bytes} bytes, {loaded:?}", page.name);
        }
        let all: BTreeSet<&str> = FILES
            .iter()
            .filter(|file| file.content_type == HTML)
            .flat_map(|page| loaded(page.name))
            .collect();
        let unused: Vec<&str> = FILES
            .iter()
            .map(|file| file.name)
            .filter(|name| !all.contains(name))
            .collect();
        assert_eq!(unused, ["hyaline.d.ts"], "types are for editors");
    }

    #[test]
    fn the_room_loads_its_scripts_at_once() {
        let loaded = loaded("room.html");
        let scripts = FILES
            .iter()
            .filter(|file| file.content_type == SCRIPT && loaded.contains(file.name));
        let room = FILES.iter().find(|file| file.name == "room.html").unwrap();
        let html = std::str::from_utf8(room.content).unwrap();
        for file in scripts {
            let preloaded = html.contains(&format!("rel=\"modulepreload\" href=\"/assets/{}\"", file.name));
            assert_eq!(preloaded, file.name != "room.js", "{}", file.name);
        }
        let elsewhere = ["echo.js", "index.js"];
        assert!(!elsewhere.iter().any(|name| html.contains(name)));
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

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};

use browser_test::Namespace;
use hyaline_server::PAGE_POLICY;
use serde_json::Value;

/// Serves the page as the server does, under the same policy: `/`, `/r/ROOM`, `/echo` and `/assets/NAME`. Everything
/// else is the fake server's, inside the page.
pub(crate) struct Site {
    pub(crate) origin: String,
}

impl Site {
    /// Serves on an address of the namespace for as long as the test's process lives.
    pub(crate) fn serve(namespace: &Namespace, host: &str) -> Self {
        let listener = namespace.run(|| TcpListener::bind((host, 0))).unwrap().unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                std::thread::spawn(move || answer(stream));
            }
        });
        Self { origin }
    }
}

/// What plays the server inside the page, as a script that runs before the page's own; `scenario` is told in
/// `fake_server.js`.
pub(crate) fn fake_server(scenario: &Value) -> String {
    // Window-wide names of a preload script would meet the page's own.
    format!(
        "(() => {{ const scenario = {scenario};\n{}\n{}\n}})();",
        include_str!("clock.js"),
        include_str!("fake_server.js")
    )
}

fn answer(mut stream: TcpStream) {
    let mut line = String::new();
    let mut reader = BufReader::new(&stream);
    let _ = reader.read_line(&mut line);
    // The rest of the request says nothing of interest, but must be read before the connection is closed.
    let mut rest = String::new();
    while reader.read_line(&mut rest).is_ok_and(|length| length > 2) {
        rest.clear();
    }
    let path = line
        .split(' ')
        .nth(1)
        .unwrap_or_default()
        .split('?')
        .next()
        .unwrap_or_default();
    let reply = file(path).and_then(|file| Some((kind(&file)?, std::fs::read(&file).ok()?)));
    let (status, kind, body) = match reply {
        Some((kind, body)) => ("200 OK", kind, body),
        None => ("404 Not Found", "text/plain", b"not found".to_vec()),
    };
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n\
         content-security-policy: {PAGE_POLICY}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body));
}

fn file(path: &str) -> Option<PathBuf> {
    let web = Path::new(env!("CARGO_MANIFEST_DIR")).join("../server/web");
    match path {
        "/" => Some(web.join("index.html")),
        "/echo" => Some(web.join("echo.html")),
        _ if path.starts_with("/r/") => Some(web.join("room.html")),
        _ => path
            .strip_prefix("/assets/")
            .filter(|name| !name.contains('/'))
            .map(|name| web.join(name)),
    }
}

fn kind(file: &Path) -> Option<&'static str> {
    match file.extension()?.to_str()? {
        "html" => Some("text/html; charset=utf-8"),
        "css" => Some("text/css"),
        "js" => Some("text/javascript"),
        "ts" => Some("text/plain; charset=utf-8"),
        "svg" => Some("image/svg+xml"),
        _ => None,
    }
}

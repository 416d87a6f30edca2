//! The driver itself, against both browsers.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use browser_test::{Browser, Devices, Error, Kind, Namespace, Options, Viewport};
use serde_json::json;

const BOTH: [Kind; 2] = [Kind::Chromium, Kind::Firefox];

/// Serves one page to whoever asks, on 127.0.0.1 of the namespace, for as long as the test's process lives.
fn serve(namespace: &Namespace, page: &'static str) -> String {
    let listener = namespace.run(|| TcpListener::bind("127.0.0.1:0")).unwrap().unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut request = [0; 4096];
            let _ = stream.read(&mut request);
            let head = "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\nconnection: close\r\n";
            let _ = write!(stream, "{head}content-length: {}\r\n\r\n{page}", page.len());
        }
    });
    format!("http://{address}/")
}

fn network() -> Namespace {
    Namespace::with_address(Ipv4Addr::new(10, 77, 0, 2)).unwrap()
}

#[test]
fn values_promises_and_exceptions() {
    let namespace = network();
    let url = serve(&namespace, "<!doctype html><title>t</title><p>ok");
    for kind in BOTH {
        let browser = Browser::launch(kind, &Options::within(&namespace)).unwrap();
        let page = browser.open(&url).unwrap();
        assert_eq!(
            page.evaluate("({ a: [1, 'two', null], b: 1.5 })").unwrap(),
            json!({ "a": [1, "two", null], "b": 1.5 })
        );
        assert_eq!(
            page.evaluate("new Promise(done => setTimeout(() => done(document.title), 10))")
                .unwrap(),
            json!("t")
        );
        assert_eq!(page.evaluate("undefined").unwrap(), json!(null));
        match page.evaluate("(() => { throw new TypeError('no such thing'); })()") {
            Err(Error::Script { exception, .. }) => assert!(exception.contains("no such thing"), "{kind}: {exception}"),
            other => panic!("{kind}: {other:?}"),
        }
        assert!(
            matches!(page.evaluate("syntax error here"), Err(Error::Script { .. })),
            "{kind}"
        );
        browser.close().unwrap();
    }
}

#[test]
fn waiting_ends_with_the_value_or_at_the_deadline() {
    let namespace = network();
    let url = serve(
        &namespace,
        "<!doctype html><script>let n = 0; setInterval(() => n++, 20)</script>",
    );
    for kind in BOTH {
        let browser = Browser::launch(kind, &Options::within(&namespace)).unwrap();
        let page = browser.open(&url).unwrap();
        assert!(
            page.wait_for("n > 5 && n", Duration::from_secs(10))
                .unwrap()
                .as_u64()
                .unwrap()
                > 5
        );
        page.evaluate("console.log('still', 0)").unwrap();
        let begin = Instant::now();
        match page.wait_for("n < 0", Duration::from_millis(300)) {
            Err(Error::Deadline { state, .. }) => assert!(state.contains("false"), "{kind}: {state}"),
            other => panic!("{kind}: {other:?}"),
        }
        assert!(begin.elapsed() >= Duration::from_millis(300));
        browser.close().unwrap();
    }
}

#[test]
fn waiting_goes_on_when_the_page_is_left_for_another() {
    let namespace = network();
    let url = serve(&namespace, "<!doctype html><title>t</title><p>ok");
    for kind in BOTH {
        let browser = Browser::launch(kind, &Options::within(&namespace)).unwrap();
        let page = browser.open(&url).unwrap();
        page.evaluate("void setTimeout(() => { location.href = '/other'; }, 300)")
            .unwrap();
        let there = page.wait_for("location.pathname === '/other'", Duration::from_secs(20));
        assert_eq!(there.unwrap(), json!(true), "{kind}");
    }
}

#[test]
fn the_console_and_uncaught_exceptions_are_heard() {
    let namespace = network();
    let url = serve(&namespace, "<!doctype html><p>ok");
    for kind in BOTH {
        let browser = Browser::launch(kind, &Options::within(&namespace)).unwrap();
        let page = browser.open_with(&url, "console.warn('before everything')").unwrap();
        page.evaluate(
            "new Promise(done => {
                addEventListener('error', () => done(true));
                setTimeout(() => { throw new Error('nobody caught me'); }, 0);
            })",
        )
        .unwrap();
        let console = page.take_console().unwrap();
        assert!(
            console.iter().any(|line| line.text.contains("before everything")),
            "{kind}: {console:?}"
        );
        let uncaught = console.iter().find(|line| line.text.contains("nobody caught me"));
        assert_eq!(
            uncaught.map(|line| line.level.as_str()),
            Some("exception"),
            "{kind}: {console:?}"
        );
        assert!(
            page.take_console()
                .unwrap()
                .iter()
                .all(|line| !line.text.contains("nobody")),
            "taken once"
        );
        browser.close().unwrap();
    }
}

#[test]
fn clicks_and_keys_are_real() {
    let namespace = network();
    let url = serve(
        &namespace,
        "<!doctype html><button id=b onclick='n += navigator.userActivation.isActive'>b</button><script>n = 0</script>",
    );
    for kind in BOTH {
        let browser = Browser::launch(kind, &Options::within(&namespace)).unwrap();
        let page = browser.open(&url).unwrap();
        page.click("#b").unwrap();
        page.wait_for("n === 1", Duration::from_secs(5)).unwrap();
        page.press("Enter").unwrap();
        page.wait_for("n === 2 && document.activeElement.id === 'b'", Duration::from_secs(5))
            .unwrap();
        browser.close().unwrap();
    }
}

#[test]
fn what_moves_is_clicked_when_it_stands_still() {
    let namespace = network();
    let url = serve(
        &namespace,
        "<!doctype html><style>button { position: absolute; transition: left 1s linear }</style>
        <button id=b onclick='n++' style='left: 0; width: 20px'>b</button><script>n = 0</script>",
    );
    for kind in BOTH {
        let browser = Browser::launch(kind, &Options::within(&namespace)).unwrap();
        let page = browser.open(&url).unwrap();
        page.evaluate("(b.offsetLeft, void (b.style.left = '500px'))").unwrap();
        page.click("#b").unwrap();
        page.wait_for("n === 1", Duration::from_secs(5)).unwrap();
        browser.close().unwrap();
    }
}

#[test]
fn fake_devices_and_raw_addresses() {
    let namespace = network();
    let url = serve(&namespace, "<!doctype html><p>ok");
    for kind in BOTH {
        let browser = Browser::launch(kind, &Options::within(&namespace)).unwrap();
        let page = browser.open(&url).unwrap();
        let sdp = page
            .evaluate(
                "(async () => {
                    const stream = await navigator.mediaDevices.getUserMedia({ audio: true, video: true });
                    const pc = new RTCPeerConnection();
                    for (const track of stream.getTracks()) pc.addTrack(track, stream);
                    await pc.setLocalDescription();
                    while (pc.iceGatheringState !== 'complete') await new Promise(done => pc.onicegatheringstatechange = done);
                    return pc.localDescription.sdp;
                })()",
            )
            .unwrap();
        let sdp = sdp.as_str().unwrap();
        assert!(sdp.contains(" 10.77.0.2 "), "{kind}: {sdp}");
        assert!(!sdp.contains(".local"), "{kind}: {sdp}");
        browser.close().unwrap();
    }
}

#[test]
fn devices_can_be_denied_or_missing() {
    let namespace = network();
    let url = serve(&namespace, "<!doctype html><p>ok");
    for kind in BOTH {
        for (devices, name) in [(Devices::Denied, "NotAllowedError"), (Devices::None, "NotFoundError")] {
            let options = Options {
                devices,
                ..Options::within(&namespace)
            };
            let browser = Browser::launch(kind, &options).unwrap();
            let page = browser.open(&url).unwrap();
            let ask = "navigator.mediaDevices.getUserMedia({ audio: true, video: true }).then(() => 'granted', error => error.name)";
            assert_eq!(page.evaluate(ask).unwrap(), json!(name), "{kind} {devices:?}");
            browser.close().unwrap();
        }
    }
}

#[test]
fn an_address_can_be_made_a_secure_origin() {
    let namespace = network();
    let loopback = serve(&namespace, "<!doctype html><p>ok");
    let port = loopback.trim_end_matches('/').rsplit(':').next().unwrap().to_owned();
    // The same server under the other address: a second listener on it.
    let listener = namespace
        .run(|| TcpListener::bind(format!("10.77.0.2:{port}")))
        .unwrap()
        .unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(
                b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok",
            );
        }
    });
    let origin = format!("http://10.77.0.2:{port}");
    for kind in BOTH {
        for (secure_origin, secure) in [(None, false), (Some(origin.clone()), true)] {
            let browser = Browser::launch(
                kind,
                &Options {
                    secure_origin,
                    ..Options::within(&namespace)
                },
            )
            .unwrap();
            let page = browser.open(&origin).unwrap();
            assert_eq!(
                page.evaluate("isSecureContext && !!navigator.mediaDevices").unwrap(),
                json!(secure),
                "{kind}"
            );
            browser.close().unwrap();
        }
    }
}

#[test]
fn pictures_have_the_size_asked_for() {
    let namespace = network();
    let url = serve(
        &namespace,
        "<!doctype html><meta name=viewport content='width=device-width'><p>ok",
    );
    let folder = std::env::temp_dir().join(format!("hyaline-pictures-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    for kind in BOTH {
        let browser = Browser::launch(kind, &Options::within(&namespace)).unwrap();
        let page = browser.open(&url).unwrap();
        page.set_viewport(Viewport {
            width: 400,
            height: 300,
            scale: 2.0,
            phone: false,
            dark: false,
        })
        .unwrap();
        let file = folder.join(format!("{kind}.png"));
        page.screenshot(&file).unwrap();
        let png = std::fs::read(&file).unwrap();
        let side = |at: usize| u32::from_be_bytes(png[at..at + 4].try_into().unwrap());
        assert_eq!((&png[1..4], side(16), side(20)), (&b"PNG"[..], 800, 600), "{kind}");
        browser.close().unwrap();
    }
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn a_dropped_browser_leaves_no_process_behind() {
    let namespace = network();
    let url = serve(&namespace, "<!doctype html><p>ok");
    for kind in BOTH {
        let browser = Browser::launch(kind, &Options::within(&namespace)).unwrap();
        let page = browser.open(&url).unwrap();
        let group = browser.id();
        assert!(members(group) > 1, "{kind} has children");
        drop(browser);
        let begin = Instant::now();
        while members(group) > 0 {
            assert!(
                begin.elapsed() < Duration::from_secs(5),
                "{kind}: {} processes are left",
                members(group)
            );
            std::thread::yield_now();
        }
        assert!(matches!(page.evaluate("1"), Err(Error::Gone { .. })), "{kind}");
    }
}

/// Set for the test's own program when it is started once more, by itself.
const AS_ONE_THAT_IS_KILLED: &str = "HYALINE_IS_KILLED";

#[test]
fn a_killed_test_leaves_no_process_behind() {
    if let Ok(kind) = std::env::var(AS_ONE_THAT_IS_KILLED) {
        let kind = *BOTH.iter().find(|each| each.to_string() == kind).unwrap();
        let namespace = network();
        let browser = Browser::launch(kind, &Options::within(&namespace)).unwrap();
        println!("group {}", browser.id());
        loop {
            std::thread::park();
        }
    }
    for kind in BOTH {
        let mut test = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "a_killed_test_leaves_no_process_behind", "--nocapture"])
            .env(AS_ONE_THAT_IS_KILLED, kind.to_string())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let said = BufReader::new(test.stdout.take().unwrap());
        let group = said.lines().map_while(Result::ok).find_map(|line| {
            let (_, group) = line.split_once("group ")?;
            group.parse().ok()
        });
        let profile = std::env::temp_dir().join(format!("hyaline-browser-{}-0", test.id()));
        let network = Path::new("/run/netns").join(format!("hyaline-{}-0", test.id()));
        let there = profile.is_dir() && network.exists();
        test.kill().unwrap();
        test.wait().unwrap();
        let group = group.unwrap_or_else(|| panic!("{kind} did not start"));
        assert!(
            there,
            "{kind}: {} and {} are its own",
            profile.display(),
            network.display()
        );
        let begin = Instant::now();
        while members(group) > 0 || profile.is_dir() || network.exists() {
            assert!(
                begin.elapsed() < Duration::from_secs(10),
                "{kind}: {} processes are left, of {} and {}",
                members(group),
                profile.display(),
                network.display()
            );
            std::thread::yield_now();
        }
    }
}

/// How many processes of a group live (zombies do not).
fn members(group: u32) -> usize {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let alive = processes
        .filter_map(|entry| std::fs::read_to_string(entry.path().join("stat")).ok())
        .filter(|stat| {
            // pid (name) state parent group ...
            let mut fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
            let state = fields.next();
            state != Some("Z") && fields.nth(1) == Some(&group.to_string())
        });
    alive.count()
}

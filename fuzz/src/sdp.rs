use sdp::{Builder, Limits, Line, SdpFragment, Session};

/// A session description or a fragment of any bytes: what parses is printed back byte for byte, every line can be read
/// as its type, and the typed lines can be written and read again.
pub fn sdp(data: &[u8]) {
    if let Ok(session) = Session::parse_bytes(data, &Limits::default()) {
        assert_eq!(session.to_string().as_bytes(), data);
        assert!(Session::parse(session.as_str()).unwrap() == session);

        // Where nothing is left out, as many lines are typed as were read.
        let lines = session.lines().collect::<Vec<_>>();
        assert_eq!(lines.len(), session.raw_lines().count());
        let mut builder = Builder::new();
        for line in &lines {
            let printed = line.to_string();
            assert_eq!(Line::parse(&printed), Ok(*line));
            builder.line(line);
        }
        assert!(builder.finish().unwrap().lines().eq(lines));

        for media in session.media() {
            let own = media.attributes().count();
            assert!(media.candidates().count() + media.rtpmaps().count() + media.ssrcs().count() <= own);
            assert_eq!(media.is_rejected(), media.port() == 0 && !media.bundle_only());
        }
        assert!(!sdp::explain(&session).to_string().is_empty());
    }
    if let Ok(text) = std::str::from_utf8(data)
        && let Ok(fragment) = SdpFragment::parse(text)
    {
        assert_eq!(fragment.as_str(), text);
        assert!(fragment.media().all(|media| media.lines().next().is_some()));
    }
}

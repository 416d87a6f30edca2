use hyaline_server::{ClientMessage, DisplayName, MAX_NAME, ServerMessage, Unreadable, View};

/// What a client sends over the WebSocket: it is read, and keeps to the bounds of the protocol, or is refused in a
/// sentence. Whatever of it is sent on or back is JSON again.
pub fn client_message(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let read = ClientMessage::read(text);
    assert_eq!(read, ClientMessage::read(text));
    match read {
        Ok(ClientMessage::Join { name }) => check_name(&name),
        Ok(ClientMessage::View(view)) => check_view(&view),
        Ok(ClientMessage::Offer { id, .. }) => check_answer(&ServerMessage::Answer { id, sdp: text.into() }),
        Ok(message) => assert!(text.contains(message.kind()) || text.contains('\\')),
        Err(Unreadable::Invalid { kind, reason }) => {
            assert!((1..=220).contains(&reason.chars().count()), "{reason}");
            check_answer(&ServerMessage::Error {
                code: "invalid-message",
                message: reason,
                re: Some(kind),
                id: None,
            });
        }
        Err(Unreadable::NotJson | Unreadable::UnknownType) => {}
    }
}

fn check_name(name: &str) {
    match DisplayName::new(name) {
        Ok(taken) => {
            assert!((1..=MAX_NAME).contains(&taken.as_str().chars().count()));
            assert!(name.contains(taken.as_str()));
            assert_eq!(DisplayName::new(taken.as_str()), Ok(taken));
        }
        Err(error) => assert!(error.to_string().ends_with('.'), "a sentence: {error}"),
    }
}

/// By `docs/signalling.md`.
fn check_view(view: &View) {
    assert!(view.tiles.is_none_or(|tiles| (1..=49).contains(&tiles)));
    assert!(view.pinned.len() <= 49 && view.pictures.len() <= 256);
    let mut sides = view.pictures.iter().flat_map(|picture| [picture.width, picture.height]);
    assert!(sides.all(|side| side <= 16_384));
}

/// No client's message, but JSON with a type.
fn check_answer(message: &ServerMessage) {
    let json = message.to_json();
    assert_eq!(ClientMessage::read(&json), Err(Unreadable::UnknownType), "{json}");
}

use crate::{State, in_call};

/// A reason as the page's own script words it, and what has to be so by then.
const fn reason(expression: &'static str) -> (&'static str, &'static str) {
    ("", expression)
}

/// Why there is no server, asked of one that is so.
const fn server(set: &'static str) -> (&'static str, &'static str) {
    (
        set,
        "reasons.unreachable(`${location.origin.replace('http', 'ws')}/v1/rooms/x/ws`)",
    )
}

/// All kinds of notices, some at a time.
pub(crate) fn notices() -> Vec<State> {
    let groups = [
        (
            "notices-devices",
            vec![
                reason("reasons.deviceProblem('microphone', new DOMException('No.', 'NotAllowedError'))"),
                reason("reasons.deviceProblem('camera', new DOMException('None.', 'NotFoundError'))"),
                reason("reasons.deviceProblem('camera', new DOMException('Busy.', 'NotReadableError'))"),
            ],
        ),
        (
            "notices-other-devices",
            vec![
                reason("reasons.deviceProblem('microphone', new DOMException('Too much.', 'OverconstrainedError'))"),
                reason(
                    "new reasons.Problem('camera-changed', \
                       'The camera was taken away. Another one is used now: HD Webcam C270.')",
                ),
                reason("reasons.screenProblem(new DOMException('Permission denied by system', 'NotAllowedError'))"),
                reason("reasons.screenProblem(new DOMException('Could not start', 'NotReadableError'))"),
            ],
        ),
        (
            "notices-insecure",
            vec![
                (
                    "Object.defineProperty(globalThis, 'isSecureContext', { value: false })",
                    "reasons.deviceProblem('camera')",
                ),
                server("Object.defineProperty(navigator, 'onLine', { value: false })"),
            ],
        ),
        (
            "notices-path",
            vec![
                reason("path({ type: 'transport', dtlsState: 'failed' })"),
                reason("path({ type: 'candidate-pair', responsesReceived: 1 })"),
                reason("path()"),
            ],
        ),
        (
            "notices-address",
            vec![
                reason("path({ type: 'local-candidate' })"),
                reason(
                    "path({ type: 'local-candidate' }, { type: 'remote-candidate', address: '127.0.0.1', port: 3478 })",
                ),
                reason(
                    "path({ type: 'local-candidate' }, { type: 'remote-candidate', address: '192.0.2.7', port: 3478 })",
                ),
            ],
        ),
        (
            "notices-server",
            vec![
                server("fake.unreachable = true"),
                server("fake.unreachable = false, fake.plain.host = 'proxied.example'"),
                server("delete fake.plain.host"),
            ],
        ),
        (
            "notices-session",
            vec![
                reason("new reasons.Problem('server-lost', 'The connection to the server was lost.')"),
                reason(
                    "new reasons.Problem('data-lost', \
                       'Chat and files were cut off. The room is joined anew for them.')",
                ),
                reason("new reasons.Problem('no-answer', 'The server did not answer the offer in time.')"),
                reason(
                    "new reasons.Problem('negotiation-failed', \
                       'The browser and the server could not agree on the call (Failed to parse the description).')",
                ),
            ],
        ),
        (
            "notices-files",
            vec![
                reason(
                    "new reasons.Problem('file-space', \
                       'There is not enough space for film.mkv. Free some on this device, then download it again.')",
                ),
                reason(
                    "new reasons.Problem('file-unwritable', \
                       'film.mkv cannot be written (NotAllowedError: No.). Download it again, to another place.')",
                ),
                reason(
                    "new reasons.Problem('file-unreadable', \
                       'film.mkv cannot be read any more: it was moved, or has changed. Share it again.')",
                ),
            ],
        ),
        (
            "notices-other-files",
            vec![
                reason(
                    "new reasons.Problem('too-many-files', \
                       'You share 100 files already. Stop sharing some of them, or pack several into one.')",
                ),
                reason(
                    "new reasons.Problem('folder', \
                       'Folders cannot be shared: pack one into an archive (ZIP) and share that.')",
                ),
            ],
        ),
    ];
    let groups = groups.map(|(name, told)| in_call(name, script(&told)));
    let others = [
        in_call(
            "path",
            "hyaline.room.dispatchEvent(new CustomEvent('path', { detail: 'disconnected' }))",
        ),
        in_call("invite", "document.querySelector('.controls [data-invite]').click()"),
        in_call(
            "hear",
            "(HTMLAudioElement.prototype.play = async () => { throw new DOMException('No.', 'NotAllowedError'); }, \
              fake.arrive({ name: 'Hedy Lamarr' }), fake.clock.pass(500))",
        ),
    ];
    groups.into_iter().chain(others).collect()
}

fn script(told: &[(&str, &str)]) -> String {
    let told = told.iter().map(|(before, reason)| {
        let before = if before.is_empty() { "0" } else { before };
        format!("() => ({before}, {reason})")
    });
    format!(
        "(async () => {{
            const [reasons, {{ notice }}] =
                await Promise.all(['reasons', 'notices'].map(name => import(`/assets/${{name}}.js`)));
            // Why there is no media, by the figures of a call.
            const path = (...figures) =>
                reasons.connectionProblem({{ getStats: async () => new Map(figures.map((each, index) => [index, each])) }});
            for (const reason of [{}]) {{
                const {{ code, message }} = await reason();
                notice(code, message, 0);
            }}
        }})()",
        told.collect::<Vec<_>>().join(", ")
    )
}

use std::time::Duration;

use browser_test::Kind;

use crate::arena::Arena;

/// Figures of `GET /metrics` that count what happened, not what was dropped.
const NOT_DROPS: &[&str] = &[
    "hyaline_rooms",
    "hyaline_participants",
    "hyaline_speaking",
    "hyaline_dtls_handshakes_total",
    "hyaline_sessions_resumed_total",
    "hyaline_repair_nacks_sent_total",
    "hyaline_repair_packets_repaired_total",
    "hyaline_repair_packets_given_up_total",
    "hyaline_repair_packets_duplicated_total",
    "hyaline_misplaced_packets_total",
    "hyaline_udp_received_datagrams_total",
    "hyaline_udp_received_bytes_total",
    "hyaline_udp_receive_calls_total",
    "hyaline_udp_sent_datagrams_total",
    "hyaline_udp_sent_bytes_total",
    "hyaline_udp_sent_messages_total",
    "hyaline_udp_send_calls_total",
];

/// What a handshake repeats, and what that is answered with. Both sides' timers start at 50 ms and more, and Firefox, where it
/// has just begun to play and publish on two processors, leaves its network alone for 50 to 180 ms: on the wire it had our
/// acknowledgement 3 ms after its last flight, and sent that flight again. For the same reason SCTP may send a last packet again
/// (RFC 8985 §7). Nothing was dropped then, and once there are pictures all of that is over.
const REPEATS: &[&str] = &[
    "hyaline_repeated_fragments_total",
    "hyaline_retransmitted_flights_total",
    "hyaline_stale_epoch_records_total",
    "hyaline_sctp_probes_total",
    "hyaline_sctp_retransmissions_total",
    "hyaline_sctp_spurious_retransmissions_total",
];

#[test]
fn a_publisher_of_720p_is_told_that_there_is_room() {
    let arena = Arena::new();
    let ada = arena.join(Kind::Chromium, "Ada");
    let size = "hyaline.devices.camera.getSettings()";
    assert_eq!(
        ada.get(&format!("[{size}.width, {size}.height]")),
        serde_json::json!([1280, 720])
    );
    // Without feedback the estimate falls to 91 kbit/s within seconds.
    ada.wait(
        "[...(await hyaline.room.getStats()).values()].some(entry => entry.type === 'candidate-pair' && entry.availableOutgoingBitrate > 1.5e6)",
        Duration::from_secs(10),
    );
}

#[test]
fn a_clean_minute_drops_nothing() {
    let arena = Arena::new();
    let ada = arena.join(Kind::Chromium, "Ada");
    let bob = arena.join(Kind::Firefox, "Bob");
    ada.wait_to_see_and_hear("Bob");
    bob.wait_to_see_and_hear("Ada");
    let before = arena.metrics();
    // The minute is the test's subject: it passes inside the page while media flows.
    let minute = Duration::from_secs(60);
    ada.wait(
        &format!(
            "performance.now() > {}",
            ada.get("performance.now()").as_f64().unwrap() + minute.as_secs_f64() * 1e3
        ),
        minute * 2,
    );
    ada.wait_to_see_and_hear("Bob");
    bob.wait_to_see_and_hear("Ada");
    let metrics = arena.metrics();
    let raised: Vec<_> = metrics
        .iter()
        .filter(|(name, _)| !NOT_DROPS.contains(&name.as_str()))
        .filter(|(name, value)| {
            let allowed = if REPEATS.contains(&name.as_str()) {
                before[*name]
            } else {
                0.0
            };
            **value != allowed
        })
        .collect();
    assert!(raised.is_empty(), "{raised:?}");
    // Sound is placed by its arrival until sender reports tell its time (docs/sfu.md). Moving it back leaves packets of
    // 20 ms out, once for either publisher: 200 ms is as late as a packet is taken to be by its arrival.
    let misplaced = metrics["hyaline_misplaced_packets_total"];
    assert!(misplaced <= 20.0, "{misplaced}");
    assert!(metrics["hyaline_udp_sent_datagrams_total"] > 1000.0);
}

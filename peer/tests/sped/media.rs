//! How many round trips it takes until sound leaves.

use rtp::RtpOut;

use super::*;

/// A frame of Opus without a sound.
const SILENCE: [u8; 3] = [0xf8, 0xff, 0xfe];

/// Who of the two is the DTLS client.
const CLIENTS: [usize; 2] = [CALLER, ANSWERER];

impl Call {
    /// The first packet of sound of an end, at the moment it is connected.
    pub(super) fn speak(&mut self, from: usize) {
        let end = &mut self.ends[from];
        if end.first_media.is_some() || end.peer.state() != State::Connected {
            return;
        }
        let section = &end.peer.sections()[0];
        let sender = end.peer.sender(section.sender().unwrap()).unwrap();
        let header = RtpOut {
            payload_type: section.formats()[0].payload_type,
            sequence_number: sender.first_sequence(),
            ..RtpOut::default()
        };
        let (id, mut out) = (sender.id(), [0; Peer::MIN_OUT]);
        let len = end
            .peer
            .write_rtp(self.now, id, &header, &[&SILENCE], &mut out)
            .unwrap();
        let transmit = end.peer.send_written(self.now, len, &mut out).unwrap();
        end.first_media = Some(self.now - self.start);
        let path = Path::udp(transmit.path.remote, transmit.path.local);
        let datagram = out[..transmit.len].to_vec();
        self.ends[1 - from].coming.push_back((self.now + DELAY, path, datagram));
    }
}

/// When each sent its first packet of sound after the first check: its own, or where it is lite that of the other, as it
/// came.
fn first_media(setting: Setting, client: usize) -> [Duration; 2] {
    let mut call = Call::new(setting, 1);
    call.speaks = true;
    let offer = call.ends[CALLER].peer.offer().unwrap();
    let setup = ["a=setup:active", "a=setup:passive"][client];
    let told = offer.replace("a=setup:actpass", setup);
    let answer = call.ends[ANSWERER].peer.accept_offer(call.now, &told).unwrap();
    assert!(answer.contains(["a=setup:passive", "a=setup:active"][client]));
    call.ends[CALLER].peer.accept_answer(call.now, &answer).unwrap();
    call.run(ms(2000));
    assert_clean(&call);
    let heard = |end: &End| end.sink.rtp.iter().filter(|packet| packet.kind == Kind::Audio).count();
    assert_eq!(call.ends.each_ref().map(heard), [1, 1]);
    let of_caller = call.ends[CALLER].first_check.unwrap();
    call.ends.each_ref().map(|end| {
        let first_check = end.first_check.unwrap_or(of_caller + DELAY);
        end.first_media.unwrap() - first_check
    })
}

/// DTLS 1.3 with SPED in every role: sound leaves two round trips after the first check at the latest, and sooner than
/// without. But a lite agent that is DTLS client loses nothing without: it has no checks, and its hello leaves with the
/// first answer in any case.
#[test]
fn sound_leaves_within_two_round_trips() {
    for lite in [false, true] {
        for client in CLIENTS {
            let [with, without] = [true, false].map(|sped| {
                let setting = Setting {
                    sped: [sped; 2],
                    lite,
                    version: Version::DTLS_1_3,
                    ..WITH
                };
                first_media(setting, client)
            });
            println!("lite: {lite}, DTLS client: {client}: {with:?} with, {without:?} without");
            for end in [CALLER, ANSWERER] {
                assert!(
                    with[end] <= 2 * RTT,
                    "lite: {lite}, DTLS client: {client}, {end}: {with:?}"
                );
                let saves = !lite || client == CALLER;
                let later = without[end].saturating_sub(with[end]);
                assert_eq!(
                    later > Duration::ZERO,
                    saves,
                    "lite: {lite}, DTLS client: {client}, {end}"
                );
            }
        }
    }
}

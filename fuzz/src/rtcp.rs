use rtp::rtcp::{Compound, Packet};
use wire::Writer;

/// A datagram of RTCP. What each packet says is written again by its builder; that says the same, and written once more
/// it is the same.
pub fn rtcp(data: &[u8]) {
    let Ok(compound) = Compound::parse(data) else { return };
    let _ = (
        compound.to_string(),
        rtp::dump::Rtcp(compound).to_string(),
        compound.is_reduced_size(),
    );
    let raw: usize = compound.raw().map(|raw| 4 + raw.body.len() + raw.padding.len()).sum();
    assert_eq!(raw, data.len());

    let mut out = vec![0; room(data)];
    let mut w = Writer::new(&mut out);
    for raw in compound.raw() {
        raw.write(&mut w).expect("there is room");
    }
    assert_eq!(w.written(), data, "packets copied as they are");

    for packet in compound.packets().flatten() {
        let once = written(&packet, room(data));
        let again = Compound::parse(&once).expect("what was written is framed");
        let again: Vec<Packet<'_>> = again
            .packets()
            .collect::<Result<_, _>>()
            .expect("what was written parses");
        match &again[..] {
            // A NACK cannot be empty, and a FIR neither: all others are written as one packet.
            [again] => {
                assert_eq!(again, &packet);
                assert_eq!(again.to_string(), packet.to_string());
                assert_eq!(written(again, room(data)), once);
            }
            others => panic!("{packet} became {others:?}"),
        }
    }
}

/// Room for one packet, however its contents are packed: each of at most 65535 statuses takes two bits and a delta.
fn room(data: &[u8]) -> usize {
    data.len() * 2 + 65_536
}

fn written(packet: &Packet<'_>, room: usize) -> Vec<u8> {
    let mut out = vec![0xee; room];
    let mut w = Writer::new(&mut out);
    packet.write(&mut w).expect("there is room");
    w.written().to_vec()
}

use sctp::{Abort, Causes, Checksum, Chunk, Init, Packet, PacketWriter, Parameters, RawChunk, ReConfig, dcep};
use wire::Writer;

/// Any bytes as an SCTP packet. What each chunk says is written again, as it was received and with what is nested in it
/// one by one; that says the same, alone and bundled. What is inside messages that open channels likewise.
pub fn sctp_packet(data: &[u8]) {
    if let Ok(init) = Init::parse(data) {
        let mut out = vec![0; data.len()];
        let mut w = Writer::new(&mut out);
        init.write(&mut w).expect("the same needs no more room");
        assert_eq!(Init::parse(w.written()), Ok(init));
    }
    message(data);
    let Ok(packet) = Packet::parse(data) else { return };
    assert_eq!(packet.to_string().lines().count(), 1);
    let _ = packet.checksum_holds(Checksum::Zero);

    let chunks: Vec<_> = packet.chunks().collect();
    let framed = chunks.iter().flatten().map(|raw| raw.bytes().len()).sum::<usize>() + 12;
    assert!(framed <= data.len());
    assert!(chunks.iter().rev().skip(1).all(Result::is_ok), "an error is the end");

    let chunks: Vec<_> = chunks
        .into_iter()
        .flatten()
        .filter_map(|raw| Chunk::of(raw).ok())
        .collect();
    let mut out = vec![0xee; data.len() + 4 * chunks.len()];
    let mut bundle = PacketWriter::new(&mut out, usize::MAX, packet.header()).expect("there is room for a header");
    for chunk in &chunks {
        let once = written(chunk);
        assert_eq!(read(&once), *chunk);
        anew(chunk);
        bundle.push(chunk).expect("the same needs no more room");
        match chunk {
            Chunk::Data(data) => message(data.payload),
            Chunk::IData(data) => message(data.payload),
            _ => {}
        }
    }
    let bundle = Packet::parse(bundle.finish(Checksum::Crc32c)).expect("what was written parses");
    assert!(bundle.checksum_holds(Checksum::Crc32c));
    assert_eq!(bundle.header(), packet.header());
    let again = bundle
        .chunks()
        .map(|raw| Chunk::of(raw.expect("what was written is framed")));
    assert!(again.eq(chunks.into_iter().map(Ok)));
}

fn written(chunk: &Chunk<'_>) -> Vec<u8> {
    let mut out = vec![0xee; sctp::padded_len(chunk.wire_len())];
    let mut w = Writer::new(&mut out);
    chunk.write(&mut w).expect("it has as many bytes as it says");
    assert_eq!(w.remaining(), 0);
    out
}

fn read(bytes: &[u8]) -> Chunk<'_> {
    let raw = RawChunk::parse(bytes).expect("what was written is framed");
    Chunk::of(raw).expect("what was written parses")
}

/// Writes a chunk with the parameters and causes that can be read, one by one.
fn anew(chunk: &Chunk<'_>) {
    let (parameters, causes) = match chunk {
        Chunk::Init(Init { parameters, .. }) | Chunk::InitAck(Init { parameters, .. }) => {
            (*parameters, Causes::default())
        }
        Chunk::ReConfig(ReConfig { parameters }) => (*parameters, Causes::default()),
        Chunk::Abort(Abort { causes, .. }) | Chunk::Error(causes) => (Parameters::default(), *causes),
        _ => return,
    };
    let parameters: Vec<_> = parameters.iter().flatten().collect();
    let parameters = Parameters::new(&parameters);
    let causes: Vec<_> = causes.iter().flatten().collect();
    let causes = Causes::new(&causes);
    let built = match *chunk {
        Chunk::Init(init) => Chunk::Init(Init { parameters, ..init }),
        Chunk::InitAck(init) => Chunk::InitAck(Init { parameters, ..init }),
        // One without any is not written.
        Chunk::ReConfig(_) if parameters.iter().next().is_none() => return,
        Chunk::ReConfig(_) => Chunk::ReConfig(ReConfig { parameters }),
        Chunk::Abort(abort) => Chunk::Abort(Abort { causes, ..abort }),
        _ => Chunk::Error(causes),
    };
    let once = written(&built);
    assert_eq!(read(&once), built);
    assert_eq!(written(&read(&once)), once);
}

fn message(data: &[u8]) {
    let Ok(message) = dcep::Message::parse(data) else {
        return;
    };
    let _ = message.to_string();
    let mut out = vec![0; data.len()];
    let mut w = Writer::new(&mut out);
    message.write(&mut w).expect("the same needs the same room");
    assert_eq!(out, data);
}

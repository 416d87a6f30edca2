//! Seal a media packet for a peer, open it there, and see what SRTP refuses; then seal one for four peers at once.
//!
//! In a call the master keys come out of the DTLS handshake (`SrtpKeys`); here they are made up.

use dtls_srtp::srtp::{OpenError, Opener, Outgoing, SealError, Sealer, seal_rtp_each};
use dtls_srtp::{KeyAndSalt, SrtpProfile};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let profile = SrtpProfile::AeadAes128Gcm;
    let key = KeyAndSalt::new(profile, &[0x11; 16], &[0x22; 12]).ok_or("key and salt have the profile's lengths")?;
    let mut opener = Opener::new(&key);
    let mut sealer = Sealer::new(key);

    // A stream is added once; afterwards nothing is looked up by SSRC.
    let ssrc = 0x1122_3344_u32;
    let stream = sealer.add_stream(ssrc)?;

    // The sender counts its packets in 64 bits: the low 16 stand in the header, the receiver finds the others by
    // itself. Here the sequence number wraps after the first packet.
    for (index, payload) in [(0xffff_u64, "first"), (0x1_0000, "second"), (0x1_0001, "third")] {
        let mut header = [0x80, 96, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        header[2..4].copy_from_slice(&(index as u16).to_be_bytes());
        header[8..].copy_from_slice(&ssrc.to_be_bytes());

        // Straight from where the payload lies into the datagram that will be sent.
        let mut datagram = [0; 1200];
        let len = sealer.seal_rtp_into(stream, index, &header, payload.as_bytes(), &mut datagram)?;
        println!(
            "sealed   {payload:8} under index {index:#07x}: {len} bytes, {} more than RTP",
            profile.rtp_overhead()
        );

        // The peer opens it in the buffer that it was received into.
        let mut received = datagram[..len].to_vec();
        let opened = opener.open_rtp(&mut received)?;
        let plain = std::str::from_utf8(&opened.packet[opened.header_len..])?;
        println!("opened   {plain:8} under index {:#07x}", opened.index);
        assert_eq!((plain, opened.index), (payload, index));

        // The same datagram again, and one with a changed bit.
        let mut replayed = datagram[..len].to_vec();
        assert_eq!(opener.open_rtp(&mut replayed), Err(OpenError::Replayed));
        let mut forged = datagram[..len].to_vec();
        forged[3] ^= 0x40;
        assert_eq!(opener.open_rtp(&mut forged), Err(OpenError::AuthenticationFailed));

        // With GCM, two packets under one index would give the key away: the sealer has none of it.
        let again = sealer.seal_rtp_into(stream, index, &header, b"another", &mut datagram);
        assert_eq!(again, Err(SealError::IndexReused));
    }
    println!("\nrefused by the opener:");
    for (name, count) in opener.counters().iter().filter(|&(_, count)| count > 0) {
        println!("  {name}: {count}");
    }
    println!("refused by the sealer:");
    for (name, count) in sealer.counters().iter().filter(|&(_, count)| count > 0) {
        println!("  {name}: {count}");
    }
    for_four()
}

/// A forwarder sends one payload to many, each under a key of its own. With AES-CM and HMAC-SHA1 four of them are sealed side
/// by side, which costs less than one after the other.
fn for_four() -> Result<(), Box<dyn std::error::Error>> {
    let profile = SrtpProfile::Aes128CmHmacSha1_80;
    let ssrc = 0x5566_7788_u32;
    let (index, payload) = (7, b"the same for everybody");
    let mut header = [0x80, 96, 0, 7, 0, 0, 0, 0, 0, 0, 0, 0];
    header[8..].copy_from_slice(&ssrc.to_be_bytes());

    let mut receivers = Vec::new();
    for number in 1..=4 {
        let key = KeyAndSalt::new(profile, &[number; 16], &[number; 14]).ok_or("the lengths are the profile's")?;
        let opener = Opener::new(&key);
        let mut sealer = Sealer::new(key);
        let stream = sealer.add_stream(ssrc)?;
        receivers.push((sealer, stream, opener, [0; 100]));
    }
    let mut packets: Vec<Outgoing<'_>> = receivers
        .iter_mut()
        .map(|(sealer, stream, _, datagram)| Outgoing::apart(sealer, *stream, index, &header, payload, datagram))
        .collect();
    seal_rtp_each(&mut packets);
    // Each has its own answer: one that is refused takes nothing from the others.
    let lens: Vec<usize> = packets
        .iter()
        .map(|packet| packet.sealed().unwrap_or(Err(SealError::NoRoom)))
        .collect::<Result<_, _>>()?;

    println!("\nsealed for four, with {profile}:");
    for ((_, _, opener, datagram), len) in receivers.iter_mut().zip(lens) {
        let tag: String = datagram[len - 10..len]
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let opened = opener.open_rtp(&mut datagram[..len])?;
        assert_eq!(&opened.packet[opened.header_len..], payload);
        println!("  {len} bytes, tag {tag}");
    }
    Ok(())
}

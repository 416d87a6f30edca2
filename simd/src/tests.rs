//! Vectors of the standards and properties, on every path that the machine has.

use ::hmac::{Hmac, KeyInit, Mac};
use aes::cipher::{KeyIvInit, StreamCipher};
use proptest::collection::vec;
use proptest::prelude::*;
use sha1::Sha1;

use super::*;

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u32> = text
        .chars()
        .filter(|c| !c.is_whitespace())
        .map(|c| c.to_digit(16).unwrap())
        .collect();
    digits.chunks(2).map(|pair| (pair[0] << 4 | pair[1]) as u8).collect()
}

/// Of 16 or 32 bytes.
fn cipher(path: AesPath, key: &[u8]) -> AesCtr {
    match key.len() {
        16 => AesCtr::aes_128_by(path, key.try_into().unwrap()),
        32 => AesCtr::aes_256_by(path, key.try_into().unwrap()),
        other => panic!("{other} bytes of key"),
    }
}

fn counter(text: &str) -> u128 {
    u128::from_be_bytes(hex(text).try_into().unwrap())
}

/// Both passes have to give the same; the one from elsewhere must not read what lay in its room.
fn apply(cipher: &AesCtr, counter: u128, data: &[u8]) -> Vec<u8> {
    let mut in_place = data.to_vec();
    cipher.apply(counter, &mut in_place);
    let mut into = vec![0x5a; data.len()];
    cipher.apply_into(counter, data, &mut into).unwrap();
    assert_eq!(in_place, into, "{cipher:?}");
    into
}

const KEY_128: &str = "2b7e151628aed2a6abf7158809cf4f3c";
const KEY_256: &str = "603deb1015ca71be2b73aef0857d7781 1f352c073b6108d72d9810a30914dff4";
const PLAIN: &str = "6bc1bee22e409f96e93d7e117393172a ae2d8a571e03ac9c9eb76fac45af8e51
    30c81c46a35ce411e5fbc1191a0a52ef f69f2445df4f9b17ad2b417be66c3710";

#[test]
fn there_is_always_a_path() {
    assert!(AesPath::available().any(|path| path == AesPath::PORTABLE));
    assert!(Sha1Path::available().any(|path| path == Sha1Path::PORTABLE));
    assert_eq!(AesPath::available().next(), Some(AesPath::best()));
    assert_eq!(Sha1Path::available().next(), Some(Sha1Path::best()));
}

/// FIPS 197 Appendix C.1 and C.3: a key stream is the cipher of its counter.
#[test]
fn fips_197() {
    let block = counter("00112233445566778899aabbccddeeff");
    for path in AesPath::available() {
        let key: Vec<u8> = (0..32).collect();
        assert_eq!(
            apply(&cipher(path, &key[..16]), block, &[0; 16]),
            hex("69c4e0d86a7b0430d8cdb78070b4c55a"),
            "{path:?}"
        );
        assert_eq!(
            apply(&cipher(path, &key), block, &[0; 16]),
            hex("8ea2b7ca516745bfeafc49904b496089"),
            "{path:?}"
        );
    }
}

/// SP 800-38A F.5.1, F.5.2, F.5.5 and F.5.6.
#[test]
fn sp_800_38a() {
    let first = counter("f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff");
    for path in AesPath::available() {
        for (key, sealed) in [
            (
                KEY_128,
                "874d6191b620e3261bef6864990db6ce 9806f66b7970fdff8617187bb9fffdff
                5ae4df3edbd5d35e5b4f09020db03eab 1e031dda2fbe03d1792170a0f3009cee",
            ),
            (
                KEY_256,
                "601ec313775789a5b7a7f504bbf3d228 f443e3ca4d62b59aca84e990cacaf5c5
                2b0930daa23de94ce87017ba2d84988d dfc9c58db67aada613c2dd08457941a6",
            ),
        ] {
            let cipher = cipher(path, &hex(key));
            assert_eq!(apply(&cipher, first, &hex(PLAIN)), hex(sealed), "{cipher:?}");
            assert_eq!(apply(&cipher, first, &hex(sealed)), hex(PLAIN), "{cipher:?}");
        }
    }
}

/// RFC 3711 §B.2: the first and the last blocks of a key stream of 2^16 - 256 blocks.
#[test]
fn rfc_3711_key_stream() {
    for path in AesPath::available() {
        let cipher = cipher(path, &hex(KEY_128));
        let stream = apply(&cipher, counter("F0F1F2F3F4F5F6F7F8F9FAFBFCFD0000"), &[0; 1_044_512]);
        assert_eq!(
            stream[..48],
            hex("E03EAD0935C95E80E166B16DD92B4EB4 D23513162B02D0F72A43A2FE4A5F97AB 41E95B3BB0A2E8DD477901E4FCA894C0"),
            "{path:?}"
        );
        assert_eq!(
            stream[stream.len() - 48..],
            hex("EC8CDF7398607CB0F2D21675EA9EA1E4 362B7C3C6773516318A077D7FC5073AE 6A2CC3787889374FBEB4C81B17BA6C44"),
            "{path:?}"
        );
    }
}

/// RFC 3711 §B.3: session keys are key streams, too.
#[test]
fn rfc_3711_key_derivation() {
    for path in AesPath::available() {
        let cipher = cipher(path, &hex("E1F97A0D3E018BE0D64FA32C06DE4139"));
        let salt = counter("0EC675AD498AFEEBB6960B3AABE60000");
        let derive = |label: u128, len: usize| apply(&cipher, salt ^ label << 64, &vec![0; len]);
        assert_eq!(derive(0, 16), hex("C61E7A93744F39EE10734AFE3FF7A087"));
        assert_eq!(derive(2, 14), hex("30CBBC08863D8C85D49DB34A9AE1"));
        assert_eq!(
            derive(1, 94),
            hex(
                "CEBE321F6FF7716B6FD4AB49AF256A15 6D38BAA48F0A0ACF3C34E2359E6CDBCE E049646C43D9327AD175578EF7227098
                 6371C10C9A369AC2F94A8C5FBCDDDC25 6D6E919A48B610EF17C2041E47403576 6B68642C59BBFC2F34DB60DBDFB2"
            )
        );
    }
}

/// RFC 2202 §3.
fn rfc_2202() -> Vec<(Vec<u8>, Vec<u8>, Vec<u8>)> {
    [
        (
            vec![0x0b; 20],
            b"Hi There".to_vec(),
            "b617318655057264e28bc0b6fb378c8ef146be00",
        ),
        (
            b"Jefe".to_vec(),
            b"what do ya want for nothing?".to_vec(),
            "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79",
        ),
        (
            vec![0xaa; 20],
            vec![0xdd; 50],
            "125d7342b9ac11cd91a39af48aa17b4f63f175d3",
        ),
        (
            (1..=25).collect(),
            vec![0xcd; 50],
            "4c9007f4026250c6bc8414f9bf50c86c2d7235da",
        ),
        (
            vec![0x0c; 20],
            b"Test With Truncation".to_vec(),
            "4c1a03424b55e07fe7f27be1d58bb9324a9a5a04",
        ),
        (
            vec![0xaa; 80],
            b"Test Using Larger Than Block-Size Key - Hash Key First".to_vec(),
            "aa4ae5e15272d00e95705637ce8a3b55ed402112",
        ),
        (
            vec![0xaa; 80],
            b"Test Using Larger Than Block-Size Key and Larger Than One Block-Size Data".to_vec(),
            "e8e99d0f45237d786d6bbaa7965c7808bbff1a91",
        ),
    ]
    .map(|(key, data, mac)| (key, data, hex(mac)))
    .to_vec()
}

#[test]
fn rfc_2202_alone_and_with_others() {
    for path in Sha1Path::available() {
        let cases: Vec<_> = rfc_2202()
            .into_iter()
            .map(|(key, data, mac)| (HmacSha1::new_by(path, &key), data, mac))
            .collect();
        for (key, data, mac) in &cases {
            assert_eq!(key.mac(data, []).as_slice(), mac, "{path:?}");
            let (start, suffix) = data.split_last_chunk::<4>().unwrap();
            assert_eq!(key.mac(start, *suffix).as_slice(), mac, "{path:?}");
        }
        for at in 0..cases.len() {
            let lane = |n: usize| &cases[(at + n) % cases.len()];
            let message = |n| Message {
                key: &lane(n).0,
                bytes: &lane(n).1,
                suffix: [],
            };
            let expected = [0, 1, 2, 3].map(|n| &lane(n).2[..]);
            assert_eq!(HmacSha1::mac_each([0, 1, 2, 3].map(message)), expected[..4], "{path:?}");
            assert_eq!(HmacSha1::mac_each([0, 1, 2].map(message)), expected[..3], "{path:?}");
            assert_eq!(HmacSha1::mac_each([0, 1].map(message)), expected[..2], "{path:?}");
        }
    }
}

/// By RustCrypto's own interface, not by ours.
fn reference_stream(key: &[u8], counter: u128, data: &[u8]) -> Vec<u8> {
    let mut out = data.to_vec();
    let iv = counter.to_be_bytes().into();
    if key.len() == 16 {
        ctr::Ctr128BE::<aes::Aes128>::new(key.try_into().unwrap(), &iv).apply_keystream(&mut out);
    } else {
        ctr::Ctr128BE::<aes::Aes256>::new(key.try_into().unwrap(), &iv).apply_keystream(&mut out);
    }
    out
}

fn reference_mac(key: &[u8], parts: [&[u8]; 2]) -> [u8; 20] {
    let mut mac = Hmac::<Sha1>::new_from_slice(key).unwrap();
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().0
}

fn bytes(len: usize, seed: usize) -> Vec<u8> {
    (0..len)
        .map(|n| ((n + seed).wrapping_mul(0x9e37_79b1) >> 13) as u8)
        .collect()
}

/// All lengths around all sizes of turns, blocks and tails.
#[test]
fn every_length_is_as_the_reference_has_it() {
    let data = bytes(2000, 1);
    let counter = counter("f0f1f2f3f4f5f6f7f8f9fafbfcfd0000");
    let ciphers: Vec<_> = AesPath::available()
        .flat_map(|path| [KEY_128, KEY_256].map(|key| (cipher(path, &hex(key)), key)))
        .collect();
    let macs: Vec<_> = Sha1Path::available()
        .map(|path| HmacSha1::new_by(path, &[7; 20]))
        .collect();
    let streams = [KEY_128, KEY_256].map(|key| reference_stream(&hex(key), counter, &data));
    for len in 0..=2000 {
        for (cipher, key) in &ciphers {
            let expected = &streams[usize::from(*key == KEY_256)][..len];
            assert_eq!(apply(cipher, counter, &data[..len]), expected, "{cipher:?}: {len}");
        }
        for mac in &macs {
            let expected = reference_mac(&[7; 20], [&data[..len], &[1, 2, 3, 4]]);
            assert_eq!(mac.mac(&data[..len], [1, 2, 3, 4]), expected, "{mac:?}: {len}");
        }
    }
}

/// A counter that overflows its lower half, or all of it, within each turn, at each place.
#[test]
fn the_counter_carries() {
    let data = bytes(600, 2);
    for path in AesPath::available() {
        for key in [KEY_128, KEY_256] {
            let cipher = cipher(path, &hex(key));
            for turn in [u128::from(u64::MAX), u128::MAX, u128::from(u32::MAX), 0xffff] {
                for blocks in 0..40 {
                    let counter = turn.wrapping_sub(blocks);
                    assert_eq!(
                        apply(&cipher, counter, &data),
                        reference_stream(&hex(key), counter, &data),
                        "{cipher:?}: {counter:x}"
                    );
                }
            }
        }
    }
}

#[test]
fn room_of_another_length_is_refused_and_left_alone() {
    for path in AesPath::available() {
        let cipher = cipher(path, &hex(KEY_128));
        for len in [0, 15, 17, 40] {
            let mut room = vec![9; len];
            assert_eq!(cipher.apply_into(0, &[1; 16], &mut room), Err(LengthMismatch));
            assert_eq!(room, vec![9; len]);
        }
    }
}

/// Keys of different paths come together only in tests; they are worked with one by one.
#[test]
fn keys_of_different_paths_may_be_mixed() {
    let keys: Vec<_> = [
        Sha1Path::PORTABLE,
        Sha1Path::best(),
        Sha1Path::PORTABLE,
        Sha1Path::best(),
    ]
    .into_iter()
    .enumerate()
    .map(|(n, path)| HmacSha1::new_by(path, &[n as u8; 20]))
    .collect();
    let data = bytes(500, 3);
    let macs = HmacSha1::mac_each([0, 1, 2, 3].map(|n| Message {
        key: &keys[n],
        bytes: &data[n..],
        suffix: [n as u8; 3],
    }));
    for (n, mac) in macs.into_iter().enumerate() {
        assert_eq!(mac, reference_mac(&[n as u8; 20], [&data[n..], &[n as u8; 3]]));
    }
}

#[test]
fn debug_tells_the_path_and_no_key() {
    let text = format!(
        "{:?} {:?} {:?} {:?}",
        AesCtr::aes_128_by(AesPath::PORTABLE, &[7; 16]),
        HmacSha1::new_by(Sha1Path::PORTABLE, &[7; 20]),
        AesPath::PORTABLE,
        Sha1Path::PORTABLE
    );
    assert_eq!(text, "AesCtr(AES-128, portable) HmacSha1(portable) Portable Portable");
}

/// Holds as long as the features of that name are on.
#[test]
fn portable_keys_are_erased() {
    const fn is_erased<T: zeroize::ZeroizeOnDrop>() {}
    const { is_erased::<aes::Aes128Enc>() };
    const { is_erased::<aes::Aes256Enc>() };
    // HMAC consists of two of these and a buffer, but does not say so itself.
    const { is_erased::<Sha1>() };
}

fn counters() -> impl Strategy<Value = u128> {
    prop_oneof![
        any::<u128>(),
        (any::<u64>(), 0u64..200).prop_map(|(high, below)| u128::from(high) << 64 | u128::from(u64::MAX - below)),
        (0u128..200).prop_map(|below| u128::MAX - below),
    ]
}

proptest! {
    #[test]
    fn every_path_ciphers_as_the_reference_does(
        long: bool,
        key: [u8; 32],
        counter in counters(),
        data in vec(any::<u8>(), 0..2000),
    ) {
        let key = if long { &key[..] } else { &key[..16] };
        let expected = reference_stream(key, counter, &data);
        for path in AesPath::available() {
            prop_assert_eq!(&apply(&cipher(path, key), counter, &data), &expected, "{:?}", path);
        }
    }

    /// A key stream does not depend on where it is taken up again.
    #[test]
    fn a_stream_may_be_taken_in_pieces(key: [u8; 16], counter in counters(), blocks in 0usize..40, rest in 0usize..700) {
        let data = bytes(16 * blocks + rest, 4);
        for path in AesPath::available() {
            let cipher = cipher(path, &key);
            let whole = apply(&cipher, counter, &data);
            let (head, tail) = data.split_at(16 * blocks);
            let pieces = [apply(&cipher, counter, head), apply(&cipher, counter.wrapping_add(blocks as u128), tail)];
            prop_assert_eq!(&whole, &pieces.concat(), "{:?}", path);
        }
    }

    #[test]
    fn every_path_authenticates_as_the_reference_does(
        lanes in vec((vec(any::<u8>(), 0..100), prop_oneof![vec(any::<u8>(), 0..200), vec(any::<u8>(), 0..2000)], any::<[u8; 4]>()), 4),
    ) {
        for path in Sha1Path::available() {
            let keys: Vec<_> = lanes.iter().map(|(key, ..)| HmacSha1::new_by(path, key)).collect();
            let message = |n: usize| Message { key: &keys[n], bytes: &lanes[n].1, suffix: lanes[n].2 };
            let expected: Vec<_> = lanes.iter().map(|(key, data, suffix)| reference_mac(key, [data, suffix])).collect();
            prop_assert_eq!(&HmacSha1::mac_each([0, 1, 2, 3].map(message))[..], &expected[..]);
            prop_assert_eq!(&HmacSha1::mac_each([0, 1, 2].map(message))[..], &expected[..3]);
            prop_assert_eq!(&HmacSha1::mac_each([0, 1].map(message))[..], &expected[..2]);
            prop_assert_eq!(&HmacSha1::mac_each([message(0)])[..], &expected[..1]);
        }
    }

    /// Lanes that differ by less than a block or by one, as packets with headers of different lengths do.
    #[test]
    fn lanes_of_nearly_the_same_length(base in 0usize..1300, more in [0usize..80, 0usize..80, 0usize..80, 0usize..80]) {
        let data = bytes(1400, 5);
        for path in Sha1Path::available() {
            let keys = [1u8, 2, 3, 4].map(|n| HmacSha1::new_by(path, &[n; 20]));
            let macs = HmacSha1::mac_each([0, 1, 2, 3].map(|n| Message {
                key: &keys[n],
                bytes: &data[..base + more[n]],
                suffix: [n as u8; 4],
            }));
            for n in 0..4 {
                prop_assert_eq!(macs[n], reference_mac(&[n as u8 + 1; 20], [&data[..base + more[n]], &[n as u8; 4]]));
            }
        }
    }
}

#[test]
fn the_crc32c_of_well_known_bytes() {
    // The check value of CRC-32/ISCSI, and RFC 3720 §B.4.
    assert_eq!(crc32c(0, b"123456789"), 0xe306_9283);
    assert_eq!(crc32c(0, &[0; 32]), 0x8a91_36aa);
    assert_eq!(crc32c(0, &[0xff; 32]), 0x62a8_ab43);
    assert_eq!(crc32c(7, &[]), 7);
}

/// All ways to divide the bytes into parts, and what is left over.
#[test]
fn crc32c_at_every_length() {
    let bytes: Vec<u8> = (0..4000_u32)
        .map(|n| (n.wrapping_mul(0x9e37_79b1) >> 13) as u8)
        .collect();
    for (start, len) in (0..=3).flat_map(|start| (0..=bytes.len() - 3).map(move |len| (start, len))) {
        let bytes = &bytes[start..start + len];
        for before in [0, 0xdead_beef] {
            let expected = ::crc32c::crc32c_append(before, bytes);
            assert_eq!(crc32c(before, bytes), expected, "{len} bytes");
            #[cfg(target_arch = "x86_64")]
            if is_x86_feature_detected!("sse4.2") && is_x86_feature_detected!("pclmulqdq") {
                // Where there is something better only short ones are done so.
                // SAFETY: both were detected.
                let in_parts = unsafe { x86::crc32c::append(before, bytes) };
                assert_eq!(in_parts, expected, "{len} bytes in parts");
                if is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("vpclmulqdq") {
                    // SAFETY: all were detected.
                    let folded = unsafe { x86::crc32c::append_folded(before, bytes) };
                    assert_eq!(folded, expected, "{len} bytes folded");
                }
            }
        }
    }
}

//! A peer that keeps no rule.

use proptest::prelude::*;
use std::string::String;
use std::vec::Vec;

use super::{Log, data, i_data};
use crate::chunk::{ForwardTsn, IForwardTsn, SkippedMessage, SkippedStream};
use crate::config::Config;
use crate::engine::inbound::{Acks, Arrival, Reassembly};
use crate::list::List;

#[derive(Debug, Clone)]
enum Deed {
    Data {
        letters: String,
        tsn: u32,
        stream: u16,
        number: u32,
        fsn: u32,
        len: usize,
    },
    Skip {
        to: u32,
        list: Vec<(u16, bool, u32)>,
    },
    Reset(u16),
    ResetAll,
}

fn deeds() -> impl Strategy<Value = Vec<Deed>> {
    let number = || prop_oneof![8 => 0_u32..4, 1 => any::<u32>()];
    let tsn = || prop_oneof![12 => 0_u32..40, 1 => any::<u32>()];
    let data = ("U?B?E?", tsn(), 0_u16..4, number(), number(), 0_usize..300);
    let data = data.prop_map(|(letters, tsn, stream, number, fsn, len)| Deed::Data {
        letters,
        tsn,
        stream,
        number,
        fsn,
        len,
    });
    let list = proptest::collection::vec((0_u16..4, any::<bool>(), number()), 0..3);
    let skip = (tsn(), list).prop_map(|(to, list)| Deed::Skip { to, list });
    let deed = prop_oneof![
        20 => data,
        3 => skip,
        1 => (0_u16..4).prop_map(Deed::Reset),
        1 => Just(Deed::ResetAll),
    ];
    proptest::collection::vec(deed, 1..80)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Nothing panics, budgets hold, and what is held is what is counted.
    #[test]
    fn nothing_is_beyond_the_budget(
        deeds in deeds(),
        interleaving: bool,
        parts in prop_oneof![Just(None), (0_usize..300).prop_map(Some)],
    ) {
        let config = Config {
            receive_window: 4096,
            max_receive_message: 1000,
            max_receive_streams: 3,
            receive_parts: parts,
            ..Config::default()
        };
        let mut acks = Acks::new(&config, 0);
        let mut reassembly = Reassembly::new(&config, 4, interleaving);
        let mut log = Log::default();
        for deed in deeds {
            let end = match deed {
                Deed::Data { letters, tsn, stream, number, fsn, len } => {
                    if acks.observe(tsn, false, reassembly.has_room(len)) != Arrival::New {
                        continue;
                    }
                    let payload = &[7; 300][..len];
                    if interleaving {
                        reassembly.i_data(&i_data(&letters, tsn, stream, number, fsn), payload, &mut log)
                    } else {
                        reassembly.data(&data(&letters, tsn, stream, number as u16), payload, &mut log)
                    }
                    .err()
                }
                Deed::Skip { to, .. } if !acks.forward(to) => continue,
                Deed::Skip { to, list } if interleaving => {
                    let list = list.iter();
                    let list: Vec<_> = list
                        .map(|&(stream, unordered, mid)| SkippedMessage { stream, unordered, mid })
                        .collect();
                    let forward = IForwardTsn { new_cumulative_tsn: to, streams: List::new(&list) };
                    reassembly.i_skip(&forward, &mut log).err()
                }
                Deed::Skip { to, list } => {
                    let list = list.iter();
                    let list: Vec<_> = list
                        .map(|&(stream, _, number)| SkippedStream { stream, ssn: number as u16 })
                        .collect();
                    let forward = ForwardTsn { new_cumulative_tsn: to, streams: List::new(&list) };
                    reassembly.skip(&forward, &mut log).err()
                }
                Deed::Reset(stream) => {
                    reassembly.reset(stream, &mut log);
                    None
                }
                Deed::ResetAll => {
                    reassembly.reset_all(&mut log);
                    prop_assert_eq!(reassembly.recount(), (0, 0));
                    None
                }
            };
            if end.is_some() {
                // The association is over.
                break;
            }
            let (counted, held) = reassembly.recount();
            prop_assert_eq!(counted, held);
            prop_assert!(held <= 2 * 4096);
        }
    }
}

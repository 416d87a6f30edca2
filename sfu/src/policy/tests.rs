use super::*;
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::time::Duration;

fn person(participant: u32) -> Carried {
    Carried {
        participant,
        group: PERSON,
    }
}

fn screen(participant: u32) -> Carried {
    Carried {
        participant,
        group: SCREEN,
    }
}

/// A room in which everybody has a camera, and nobody shares a screen or has spoken.
fn people(count: u32) -> Vec<Member> {
    let member = |participant| Member {
        participant,
        sends: [true, false],
        picture: true,
        spoke: None,
    };
    (0..count).map(member).collect()
}

struct Viewer {
    policy: Policy,
    pairs: Vec<Option<Carried>>,
    tiles: usize,
    pinned: Vec<u32>,
}

/// The viewer is not one of the people.
const VIEWER: u32 = 1000;

impl Viewer {
    fn new(pairs: usize, tiles: usize) -> Self {
        Self {
            policy: Policy::default(),
            pairs: vec![None; pairs],
            tiles,
            pinned: Vec::new(),
        }
    }

    fn wish(&self) -> Wish<'_> {
        Wish {
            viewer: VIEWER,
            tiles: self.tiles,
            pinned: &self.pinned,
        }
    }

    fn look(&mut self, members: &[Member], on_air: &[u32]) -> Vec<Carried> {
        let (mut policy, mut pairs) = (std::mem::take(&mut self.policy), std::mem::take(&mut self.pairs));
        policy.look(3, on_air, members.iter().copied());
        policy.choose(&self.wish(), &mut pairs);
        (self.policy, self.pairs) = (policy, pairs);
        self.pairs.iter().copied().flatten().collect()
    }
}

#[test]
fn who_came_first_is_seen_until_somebody_else_speaks() {
    let mut viewer = Viewer::new(4, 4);
    let mut room = people(8);
    assert_eq!(viewer.look(&room, &[]), [0, 1, 2, 3].map(person));
    let start = Instant::now();
    // The last of those who never spoke makes room.
    room[6].spoke = Some(start);
    assert_eq!(viewer.look(&room, &[6]), [0, 1, 2, 6].map(person));
    for (n, speaker) in [0, 5, 7].into_iter().enumerate() {
        room[speaker].spoke = Some(start + Duration::from_secs(1 + n as u64));
    }
    assert_eq!(viewer.look(&room, &[0, 5, 7]), [0, 7, 5, 6].map(person));
    // Then the one who spoke longest ago, and everybody else stays.
    room[4].spoke = Some(start + Duration::from_secs(9));
    assert_eq!(viewer.look(&room, &[4, 5, 7]), [0, 7, 5, 4].map(person));
}

#[test]
fn a_pinned_one_stays_and_is_heard() {
    let mut viewer = Viewer::new(4, 4);
    let room = people(8);
    viewer.pinned = vec![7];
    assert_eq!(viewer.look(&room, &[]), [7, 0, 1, 2].map(person));
    assert_eq!(viewer.look(&room, &[4, 5, 6]), [7, 6, 5, 4].map(person));
    let heard = |one| viewer.policy.hears(&viewer.wish(), person(one));
    assert_eq!([4, 5, 6, 7].map(heard), [true; 4]);
    assert!(!heard(0));
    // Those who speak have a pair beside those who are pinned, however few tiles are wanted.
    viewer.pinned = vec![7, 0];
    viewer.pairs = vec![None; 8];
    assert_eq!(viewer.look(&room, &[4, 5, 6]).len(), 5);
}

#[test]
fn a_screen_comes_on_top_and_is_always_heard() {
    let mut viewer = Viewer::new(6, 4);
    let mut room = people(8);
    viewer.look(&room, &[]);
    room[7].sends = [true, true];
    assert_eq!(
        viewer.look(&room, &[]),
        [person(0), person(1), person(2), person(3), screen(7)]
    );
    assert_eq!(viewer.policy.need(&viewer.wish()), 5);
    assert!(viewer.policy.hears(&viewer.wish(), screen(7)));
    assert!(!viewer.policy.hears(&viewer.wish(), person(7)));
    room[7].sends = [true, false];
    assert_eq!(viewer.look(&room, &[]), [0, 1, 2, 3].map(person));
    // While there are too few pairs somebody makes room for it.
    viewer.pairs.truncate(4);
    room[7].sends = [true, true];
    assert_eq!(viewer.look(&room, &[]), [person(0), person(1), person(2), screen(7)]);
}

#[test]
fn who_shows_nothing_makes_room_for_who_shows_something() {
    let mut viewer = Viewer::new(4, 4);
    let mut room = people(5);
    viewer.look(&room, &[]);
    room[1].picture = false;
    assert_eq!(viewer.look(&room, &[]), [0, 4, 2, 3].map(person));
    // Not when it speaks.
    room[2].picture = false;
    room[1].picture = true;
    assert_eq!(viewer.look(&room, &[2]), [0, 4, 2, 3].map(person));
    // Where there is a free pair there is nothing to make room for.
    assert_eq!(viewer.look(&room[..4], &[2]), [0, 1, 2, 3].map(person));
}

#[test]
fn in_a_small_room_everybody_is_heard() {
    let mut viewer = Viewer::new(4, 4);
    viewer.look(&people(3), &[]);
    assert!((0..3).all(|one| viewer.policy.hears(&viewer.wish(), person(one))));
    viewer.look(&people(4), &[]);
    assert!((0..4).all(|one| !viewer.policy.hears(&viewer.wish(), person(one))));
}

#[test]
fn a_speaker_hears_one_more_instead_of_himself() {
    let mut policy = Policy::default();
    policy.look(3, &[0, 1, 2, 3], people(9).into_iter());
    let heard = |viewer| {
        let wish = Wish {
            viewer,
            tiles: 9,
            pinned: &[],
        };
        (0..9)
            .filter(|&one| policy.hears(&wish, person(one)))
            .collect::<Vec<_>>()
    };
    assert_eq!(heard(8), [0, 1, 2]);
    assert_eq!(heard(1), [0, 2, 3]);
    assert_eq!(heard(3), [0, 1, 2]);
}

/// One of a room of 100 speaks: what is looked at does not grow with the square of the room.
#[test]
fn a_viewer_costs_as_much_as_its_pairs_and_not_as_the_room() {
    let mut viewer = Viewer::new(16, 16);
    let mut room = people(100);
    viewer.look(&room, &[]);
    for speaker in 20..90 {
        room[speaker].spoke = Some(Instant::now());
        let before = viewer.pairs.clone();
        let on_air = [speaker as u32, speaker as u32 - 1, speaker as u32 - 2];
        viewer.look(&room, &on_air);
        let changed = before.iter().zip(&viewer.pairs).filter(|(a, b)| a != b).count();
        assert!(changed <= 3, "{changed} pairs for one speaker");
        let looked = viewer.policy.looked;
        assert!(looked <= 3 * 16, "{looked} members of 100 were looked at");
    }
}

#[derive(Debug, Clone)]
struct Scene {
    /// By participant: whether it is there, sends a person, a picture, a screen, and when it spoke.
    members: Vec<(bool, bool, bool, bool, Option<u8>)>,
    on_air: Vec<u32>,
    pinned: Vec<u32>,
    tiles: usize,
    pairs: usize,
    viewer: u32,
}

fn scenes() -> impl Strategy<Value = Vec<Scene>> {
    let member = (
        proptest::bool::weighted(0.8),
        proptest::bool::weighted(0.9),
        any::<bool>(),
        proptest::bool::weighted(0.1),
        any::<Option<u8>>(),
    );
    let scene = (
        proptest::collection::vec(member, 40),
        proptest::sample::subsequence((0..40u32).collect::<Vec<_>>(), 0..5),
        proptest::collection::vec(0..40u32, 0..5),
        0..20usize,
        0..30usize,
        0..40u32,
    );
    let scene = scene.prop_map(|(members, on_air, pinned, tiles, pairs, viewer)| Scene {
        members,
        on_air,
        pinned,
        tiles,
        pairs,
        viewer,
    });
    proptest::collection::vec(scene, 1..8)
}

proptest! {
    /// Whatever a room was before: nobody twice, never more than wanted, those in view who must be, the same again when
    /// nothing changes, no pair taken from who may stay, and as many voices as are allowed.
    #[test]
    fn the_rules_hold(scenes in scenes()) {
        let start = Instant::now();
        let (mut policy, mut pairs) = (Policy::default(), Vec::new());
        for scene in scenes {
            let members: Vec<Member> = scene.members.iter().zip(0..).filter(|(member, _)| member.0).map(|(member, participant)| Member {
                participant,
                sends: [member.1, member.3],
                picture: member.1 && member.2,
                spoke: member.4.map(|at| start + Duration::from_millis(u64::from(at))),
            }).collect();
            let wish = Wish { viewer: scene.viewer, tiles: scene.tiles, pinned: &scene.pinned };
            pairs.resize(scene.pairs, None);
            let before = pairs.clone();
            policy.look(3, &scene.on_air, members.iter().copied());
            policy.choose(&wish, &mut pairs);
            let tiles = policy.tiles(&wish);
            let seen: Vec<Carried> = pairs.iter().copied().flatten().collect();
            let persons = seen.iter().filter(|one| one.group == PERSON).count();
            let unique: BTreeSet<_> = seen.iter().map(|one| (one.participant, one.group)).collect();
            prop_assert_eq!(unique.len(), seen.len());
            prop_assert!(persons <= tiles && seen.len() - persons <= tiles);
            let sends = |one: u32, group: u8| one != scene.viewer && members.iter().any(|member| member.participant == one && member.sends[usize::from(group)]);
            prop_assert!(seen.iter().all(|one| sends(one.participant, one.group)));
            // As many as there are pairs for, the pinned ones before all others.
            let pinned: BTreeSet<u32> = scene.pinned.iter().copied().filter(|&one| sends(one, PERSON)).collect();
            let pinned_seen = pinned.iter().filter(|&&one| seen.contains(&person(one))).count();
            prop_assert_eq!(pinned_seen, pinned.len().min(scene.pairs));
            let count = |group| (0..40).filter(|&one| sends(one, group)).count();
            let need = count(PERSON).min(tiles) + count(SCREEN).min(tiles);
            prop_assert_eq!(policy.need(&wish), need);
            prop_assert_eq!(seen.len(), need.min(scene.pairs));
            if scene.pairs >= need {
                let on_air = scene.on_air.iter().copied().filter(|&one| one != scene.viewer).take(3);
                for one in on_air.filter(|&one| sends(one, PERSON)) {
                    prop_assert!(seen.contains(&person(one)));
                    prop_assert!(policy.hears(&wish, person(one)));
                }
            }
            // Who is in both has its pair still.
            for (at, one) in before.iter().enumerate() {
                if let Some(one) = one && seen.contains(one) {
                    prop_assert_eq!(pairs[at], Some(*one));
                }
            }
            let heard = seen.iter().filter(|one| one.group == PERSON && policy.hears(&wish, **one)).count();
            prop_assert!(heard <= 3 + pinned.len());
            let again = pairs.clone();
            policy.look(3, &scene.on_air, members.iter().copied());
            policy.choose(&wish, &mut pairs);
            prop_assert_eq!(&again, &pairs, "stable when nothing changes");
            let mut other = before;
            let mut fresh = Policy::default();
            fresh.look(3, &scene.on_air, members.iter().copied());
            fresh.choose(&wish, &mut other);
            prop_assert_eq!(&other, &pairs, "and it depends on nothing else");
        }
    }
}

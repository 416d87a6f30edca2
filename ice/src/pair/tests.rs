use super::*;
use proptest::prelude::*;
use std::net::SocketAddr;

fn path(port: u16) -> Path {
    let local: SocketAddr = "192.0.2.1:4000".parse().unwrap();
    Path::udp(local, SocketAddr::new(local.ip(), port))
}

#[derive(Debug, Clone, Copy)]
enum Op {
    Check {
        port: u16,
        newest: bool,
        nomination: Option<u32>,
        priority: u32,
    },
    Note {
        port: u16,
    },
    Restart {
        keep_previous: bool,
    },
    Retire,
    Expire {
        silence: u64,
    },
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        10 => (1u16..6, any::<bool>(), proptest::option::of(0u32..3), 0u32..4)
            .prop_map(|(port, newest, nomination, priority)| Op::Check { port, newest, nomination, priority }),
        10 => (1u16..6).prop_map(|port| Op::Note { port }),
        1 => any::<bool>().prop_map(|keep_previous| Op::Restart { keep_previous }),
        1 => Just(Op::Retire),
        1 => (0u64..40).prop_map(|silence| Op::Expire { silence }),
    ]
}

/// The history of one pair since it was validated, told as it happened: (step, what).
#[derive(Debug, Clone)]
struct Story {
    port: u16,
    told: Vec<(usize, Op)>,
    /// Steps of checks that count for the newest session and for the previous one.
    newest: Vec<usize>,
    previous: Vec<usize>,
}

/// The rule of the page on browsers, read off the histories.
struct Model {
    choice: Choice,
    stories: Vec<Story>,
}

impl Model {
    fn apply(&mut self, step: usize, op: Op) {
        match op {
            Op::Check { port, newest, .. } => {
                let at = self
                    .stories
                    .iter()
                    .position(|story| story.port == port)
                    .unwrap_or_else(|| {
                        self.stories.push(Story {
                            port,
                            told: vec![],
                            newest: vec![],
                            previous: vec![],
                        });
                        self.stories.len() - 1
                    });
                let story = &mut self.stories[at];
                story.told.push((step, op));
                if newest { &mut story.newest } else { &mut story.previous }.push(step);
            }
            Op::Note { port } => {
                if let Some(story) = self.stories.iter_mut().find(|story| story.port == port) {
                    story.told.push((step, op));
                }
            }
            Op::Restart { keep_previous } => {
                for story in &mut self.stories {
                    let newest = std::mem::take(&mut story.newest);
                    if !keep_previous {
                        story.previous = newest;
                    }
                }
                self.stories.retain(|story| !story.previous.is_empty());
            }
            Op::Retire => {
                self.stories.iter_mut().for_each(|story| story.previous.clear());
                self.stories.retain(|story| !story.newest.is_empty());
            }
            Op::Expire { silence } => {
                let last = |story: &Story| story.told.last().unwrap().0;
                self.stories.retain(|story| last(story) + silence as usize > step);
            }
        }
    }

    /// The steps of a story's nominations in a session, with their numbers.
    fn nominations(story: &Story, session: &[usize]) -> impl Iterator<Item = (usize, u32)> {
        let checks = story.told.iter().filter(|(step, _)| session.contains(step));
        checks.filter_map(|&(step, op)| match op {
            Op::Check { nomination, .. } => Some((step, nomination?)),
            _ => None,
        })
    }

    fn last_nomination(story: &Story, session: &[usize]) -> Option<usize> {
        Self::nominations(story, session).map(|(step, _)| step).max()
    }

    fn first_nomination(story: &Story, session: &[usize]) -> usize {
        Self::nominations(story, session).next().map_or(0, |(step, _)| step)
    }

    /// The highest number of a story's nominations.
    fn number(story: &Story, session: &[usize]) -> u32 {
        Self::nominations(story, session)
            .map(|(_, number)| number)
            .max()
            .unwrap_or(0)
    }

    fn selected(&self) -> Option<u16> {
        let newest: Vec<_> = self
            .stories
            .iter()
            .filter(|s| Self::last_nomination(s, &s.newest).is_some())
            .collect();
        let before: Vec<_> = self
            .stories
            .iter()
            .filter(|s| Self::last_nomination(s, &s.previous).is_some())
            .collect();
        let all: Vec<_> = self.stories.iter().collect();
        let (eligible, session): (_, fn(&Story) -> &[usize]) = if !newest.is_empty() {
            (newest, |s| &s.newest)
        } else if !before.is_empty() {
            (before, |s| &s.previous)
        } else {
            (all, |s| if s.newest.is_empty() { &s.previous } else { &s.newest })
        };
        let lite = self.choice == Choice::Newest;
        let last_named = eligible.iter().map(|s| Self::first_nomination(s, session(s))).max();
        let since = last_named.filter(|_| !lite);
        let highest = eligible.iter().map(|s| Self::number(s, session(s))).max();
        let eligible: Vec<_> = eligible
            .into_iter()
            .filter(|s| Some(Self::number(s, session(s))) == highest)
            .collect();
        let media = |s: &Story| {
            let notes = s.told.iter().filter(|(_, op)| matches!(op, Op::Note { .. }));
            notes
                .map(|&(step, _)| step)
                .max()
                .filter(|step| since.is_none_or(|since| *step > since))
        };
        if eligible.iter().any(|s| media(s).is_some()) {
            let told = |s: &Story| Self::last_nomination(s, session(s)).filter(|_| lite);
            return eligible.iter().max_by_key(|s| media(s).max(told(s))).map(|s| s.port);
        }
        let priority = |s: &Story| {
            let mut checks = s.told.iter().filter(|(step, _)| session(s).contains(step));
            checks.next_back().map(|(_, op)| match op {
                Op::Check { priority, .. } => *priority,
                _ => unreachable!(),
            })
        };
        // Of equals the first that was validated.
        let highest = eligible.iter().map(|s| priority(s)).max()?;
        eligible.iter().find(|s| priority(s) == highest).map(|s| s.port)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn the_choice_is_that_of_the_model(ops in proptest::collection::vec(op(), 1..80), full: bool) {
        let t0 = Instant::now();
        let second = |step: usize| t0 + Duration::from_secs(step as u64);
        let choice = if full { Choice::of(Role::Controlled) } else { Choice::Newest };
        let (mut pairs, mut model) = (Pairs::new(32), Model { choice, stories: vec![] });
        pairs.choose_by(choice);
        for (step, op) in ops.into_iter().enumerate() {
            let now = second(step);
            let op = match op {
                // Numbers are for full agents.
                Op::Check { port, newest, nomination, priority } if !full => {
                    Op::Check { port, newest, nomination: nomination.map(|_| 0), priority }
                }
                op => op,
            };
            match op {
                Op::Check { port, newest, nomination, priority } => {
                    let check = Accepted { newest, priority: Some(priority), nomination, local_priority: 0, order: 0 };
                    prop_assert!(pairs.check(now, &path(port), check));
                }
                Op::Note { port } => {
                    let known = model.stories.iter().any(|story| story.port == port);
                    prop_assert_eq!(pairs.note(now, &path(port), true), known);
                }
                Op::Restart { keep_previous } => pairs.restart(keep_previous),
                Op::Retire => pairs.retire_previous(),
                Op::Expire { silence } => pairs.expire(now, Duration::from_secs(silence)),
            }
            model.apply(step, op);
            prop_assert_eq!(pairs.selected(), model.selected().map(path), "step {} {:?}", step, op);
            // The shortcut of the hot call comes to the same as the definition.
            prop_assert_eq!(pairs.selected, pairs.choose());
            prop_assert_eq!(pairs.iter().filter(|pair| pair.selected).count(), usize::from(pairs.selected.is_some()));
        }
    }
}

#[test]
fn a_handshake_keeps_no_pair_alive() {
    let t0 = Instant::now();
    let mut pairs = Pairs::new(2);
    let check = Accepted {
        newest: true,
        priority: None,
        nomination: None,
        local_priority: 0,
        order: 0,
    };
    pairs.check(t0, &path(1), check);
    pairs.note(t0 + Duration::from_secs(9), &path(1), false);
    assert_eq!(pairs.longest_silent_since(), Some(t0));
    pairs.note(t0 + Duration::from_secs(9), &path(1), true);
    assert_eq!(pairs.longest_silent_since(), Some(t0 + Duration::from_secs(9)));
}

#[test]
fn a_pair_that_was_never_announced_goes_silently() {
    let t0 = Instant::now();
    let mut pairs = Pairs::new(0);
    let check = Accepted {
        newest: true,
        priority: None,
        nomination: Some(0),
        local_priority: 0,
        order: 0,
    };
    assert!(pairs.check(t0, &path(1), check));
    assert!(!pairs.check(t0, &path(2), check), "a limit of 0 counts as 1");
    assert_eq!((pairs.poll_removed(), pairs.poll_validated()), (None, Some(path(2))));
    assert_eq!(pairs.selected(), Some(path(2)));
    pairs.clear();
    assert_eq!((pairs.poll_removed(), pairs.poll_validated()), (Some(path(2)), None));
    assert_eq!(pairs.poll_removed(), None);
}

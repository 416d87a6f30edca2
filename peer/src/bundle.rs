use std::collections::BTreeMap;

/// What the choice of the transport depends on in an offered section.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Member<'a> {
    /// Its identification tag.
    pub(crate) mid: Option<&'a str>,
    /// Whether we would take it, if its transport is the one that we take.
    pub(crate) acceptable: bool,
    /// Whether its port is zero: it may be in a group (`a=bundle-only`), but lends its transport to nobody.
    pub(crate) zero_port: bool,
}

/// The sections that share our one transport.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Bundle {
    /// The section whose ICE and DTLS attributes hold for all of them.
    pub(crate) tagged: usize,
    /// The members, the tagged one first; for the answer's `a=group:BUNDLE`. `None` when no group was offered.
    pub(crate) group: Option<Vec<usize>>,
}

impl Bundle {
    /// Selects the tagged section (RFC 9143 §7.3.1): the first of the first group that we take and whose port is not
    /// zero. Without any, the first such section that is in no group goes alone.
    ///
    /// In a later offer the answerer may not reject the tagged section (RFC 9143 §7.3.3); when we have to, we go on
    /// with the next tag there too, since all members are on one transport anyway, rather than refuse the whole offer.
    pub(crate) fn select<'a>(
        members: &[Member<'_>],
        groups: impl Iterator<Item = impl Iterator<Item = &'a str>>,
    ) -> Option<Self> {
        let mut indices: BTreeMap<&str, usize> = BTreeMap::new();
        for (index, mid) in members
            .iter()
            .enumerate()
            .filter_map(|(n, member)| Some((n, member.mid?)))
        {
            indices.entry(mid).or_insert(index);
        }
        let index_of = |mid: &str| indices.get(mid).copied();
        let fit = |&index: &usize| members[index].acceptable && !members[index].zero_port;
        let mut grouped = vec![false; members.len()];
        for group in groups {
            let mut group: Vec<usize> = group.filter_map(index_of).collect();
            group.retain(|&index| !core::mem::replace(&mut grouped[index], true));
            if let Some(tagged) = group.iter().copied().find(fit) {
                group.retain(|&index| members[index].acceptable && index != tagged);
                group.insert(0, tagged);
                return Some(Self {
                    tagged,
                    group: Some(group),
                });
            }
        }
        let tagged = (0..members.len()).filter(|&index| !grouped[index]).find(fit)?;
        Some(Self { tagged, group: None })
    }

    /// Whether a section is on the transport.
    pub(crate) fn contains(&self, index: usize) -> bool {
        self.group
            .as_ref()
            .map_or(index == self.tagged, |group| group.contains(&index))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn select(members: &str, groups: &[&[&str]]) -> Option<Bundle> {
        // One letter a section: a acceptable, b acceptable and bundle-only, r to be rejected.
        let mids: Vec<String> = (0..members.len()).map(|n| n.to_string()).collect();
        let members: Vec<Member<'_>> = members
            .chars()
            .zip(&mids)
            .map(|(c, mid)| Member {
                mid: Some(mid),
                acceptable: c != 'r',
                zero_port: c == 'b',
            })
            .collect();
        Bundle::select(&members, groups.iter().map(|group| group.iter().copied()))
    }

    fn bundle(tagged: usize, group: &[usize]) -> Option<Bundle> {
        Some(Bundle {
            tagged,
            group: (!group.is_empty()).then(|| group.to_vec()),
        })
    }

    #[test]
    fn the_first_acceptable_tag_with_a_port_is_chosen() {
        assert_eq!(select("aaa", &[&["0", "1", "2"]]), bundle(0, &[0, 1, 2]));
        assert_eq!(select("aaa", &[&["2", "0", "1"]]), bundle(2, &[2, 0, 1]));
        assert_eq!(select("raa", &[&["0", "1", "2"]]), bundle(1, &[1, 2]));
        assert_eq!(select("bar", &[&["0", "1", "2"]]), bundle(1, &[1, 0]));
        assert_eq!(select("abb", &[&["0", "1", "2"]]), bundle(0, &[0, 1, 2]));
    }

    #[test]
    fn without_a_tag_that_fits_there_is_no_group() {
        assert_eq!(select("rb", &[&["0", "1"]]), None);
        assert_eq!(select("rba", &[&["0", "1"]]), bundle(2, &[]));
        assert_eq!(select("ra", &[]), bundle(1, &[]));
        assert_eq!(select("", &[]), None);
        // The second group is taken when nothing of the first can be.
        assert_eq!(select("rara", &[&["0", "2"], &["1", "3"]]), bundle(1, &[1, 3]));
    }

    #[test]
    fn strange_groups_are_no_fault() {
        assert_eq!(select("aa", &[&["9", "0", "0", "1"]]), bundle(0, &[0, 1]));
        assert_eq!(select("ra", &[&["0"], &["0", "1"]]), bundle(1, &[1]));
    }
}

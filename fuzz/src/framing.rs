use ice::{Deframer, write_frame};

/// What is taken at most, in bytes: less than inputs have.
const LIMIT: usize = 1500;

/// A TCP stream in pieces whose lengths the first byte chooses: the frames are those of the stream in one piece,
/// whether they are lent or copied; written again they are the beginning of the stream, and what was held is the rest.
pub fn deframer(data: &[u8]) {
    let Some((&step, stream)) = data.split_first() else {
        return;
    };
    let (mut whole, mut at_once) = (Vec::new(), Deframer::new(LIMIT));
    let result = at_once.push(&mut stream.to_vec(), |frame| whole.push(frame.to_vec()));
    let (mut lent, mut in_place) = (Vec::new(), Deframer::new(LIMIT));
    let (mut copied, mut copying) = (Vec::new(), Deframer::new(LIMIT));
    let pieces = || stream.chunks(usize::from(step).max(1));
    let in_pieces =
        pieces().try_for_each(|piece| in_place.push(&mut piece.to_vec(), |frame| lent.push(frame.to_vec())));
    let by_copy = pieces().try_for_each(|mut piece| {
        while let Some(frame) = copying.next(&mut piece)? {
            copied.push(frame.to_vec());
        }
        assert!(piece.is_empty());
        Ok(())
    });
    assert_eq!((&whole, result), (&lent, in_pieces));
    assert_eq!((&whole, result), (&copied, by_copy));
    let mut framed = Vec::new();
    assert!(
        whole
            .iter()
            .all(|frame| frame.len() <= LIMIT && write_frame(frame, &mut framed))
    );
    assert!(stream.starts_with(&framed));
    if result.is_ok() {
        let rest = stream.len() - framed.len();
        assert_eq!([&at_once, &in_place, &copying].map(Deframer::pending), [rest; 3]);
    }
}

use guest::read_ivf;

/// An IVF file of any bytes: what is read is all of it and can be played, and written again it reads the same.
pub fn ivf(data: &[u8]) {
    let Ok((frames, rate)) = read_ivf(data) else { return };
    assert!((1.0..=1000.0).contains(&rate));
    assert!(
        frames[0].first().is_some_and(|tag| tag & 1 == 0),
        "it begins with a key frame"
    );
    // Each frame behind its length and its time.
    let content: usize = frames.iter().map(|frame| 12 + frame.len()).sum();
    let header = data.len() - content;
    assert!(header >= 32, "frames lie behind the header");
    assert_eq!(header, usize::from(u16::from_le_bytes([data[6], data[7]])));
    let mut written = data[..header].to_vec();
    for frame in &frames {
        written.extend((frame.len() as u32).to_le_bytes());
        written.extend([0; 8]);
        written.extend(frame);
    }
    assert_eq!(read_ivf(&written), Ok((frames, rate)));
    assert!(read_ivf(&written[..written.len() - 1]).is_err(), "nothing is left out");
}

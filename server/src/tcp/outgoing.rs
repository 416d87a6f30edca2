use std::io::{self, ErrorKind, Write};

use ice::{FRAME_HEADER, write_frame};

/// Bytes that wait for one connection. Together with what the kernel takes before it is sent, a quarter of a second of
/// all that a link of 10 Mbit/s carries.
const MAX_WAITING: usize = 256 << 10;
/// Of these, so many are left to what is not media: checks that are not answered would end the path.
const RESERVED: usize = 16 << 10;

/// Frames that wait to be written to one connection. What does not fit is dropped whole: media that waits is stale, and
/// what was lost is asked for again.
#[derive(Debug, Default)]
pub(super) struct Outgoing {
    bytes: Vec<u8>,
    /// How many of them the kernel has taken.
    taken: usize,
}

impl Outgoing {
    pub(super) const fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Adds a frame (RFC 4571 §2); false when there is no room for it.
    pub(super) fn push(&mut self, datagram: &[u8]) -> bool {
        // RFC 7983 §7: RTP and RTCP.
        let is_media = matches!(datagram.first(), Some(128..=191));
        let most = if is_media { MAX_WAITING - RESERVED } else { MAX_WAITING };
        let waiting = self.bytes.len() - self.taken;
        let whole = FRAME_HEADER + datagram.len();
        if waiting + whole > most {
            return false;
        }
        if self.bytes.len() + whole > MAX_WAITING {
            self.bytes.drain(..self.taken);
            self.taken = 0;
        }
        write_frame(datagram, &mut self.bytes)
    }

    /// Writes what waits. False when the kernel's buffer is full and some of it has to wait on.
    ///
    /// # Errors
    /// The connection is broken.
    pub(super) fn write(&mut self, stream: &mut impl Write) -> io::Result<bool> {
        while self.taken < self.bytes.len() {
            match stream.write(&self.bytes[self.taken..]) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(written) => self.taken += written,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        // The allocation stays.
        self.bytes.clear();
        self.taken = 0;
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes so many bytes, and then no more.
    struct Kernel(Vec<u8>, usize);

    impl Write for Kernel {
        fn write(&mut self, data: &[u8]) -> io::Result<usize> {
            let len = data.len().min(self.1);
            if len == 0 {
                return Err(ErrorKind::WouldBlock.into());
            }
            self.1 -= len;
            self.0.extend_from_slice(&data[..len]);
            Ok(len)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn frames_leave_whole_and_in_order() {
        let (mut outgoing, mut kernel) = (Outgoing::default(), Kernel(Vec::new(), 4));
        assert!(outgoing.push(&[1, 2, 3]) && outgoing.push(&[4]));
        assert!(!outgoing.write(&mut kernel).unwrap());
        assert!(outgoing.push(&[5]));
        kernel.1 = 100;
        assert!(outgoing.write(&mut kernel).unwrap() && outgoing.is_empty());
        assert_eq!(kernel.0, [0, 3, 1, 2, 3, 0, 1, 4, 0, 1, 5]);
    }

    #[test]
    fn who_does_not_read_is_sent_no_more_and_holds_no_more() {
        let (mut outgoing, mut kernel) = (Outgoing::default(), Kernel(Vec::new(), 0));
        let (media, check) = ([0x80; 1200], [0x01; 100]);
        let sent = (0..1000).filter(|_| outgoing.push(&media)).count();
        assert_eq!(sent, (MAX_WAITING - RESERVED) / 1202);
        assert!(
            outgoing.push(&check),
            "there is room for checks when there is none for media"
        );
        for _ in 0..10_000 {
            outgoing.push(&check);
            // It reads a little now and then.
            kernel.1 = 50;
            outgoing.write(&mut kernel).unwrap();
        }
        assert!(outgoing.bytes.len() <= MAX_WAITING && outgoing.bytes.capacity() <= 2 * MAX_WAITING);
    }
}

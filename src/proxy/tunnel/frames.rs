//! Where WebSocket frames begin and end in a stream of bytes (RFC 6455 section 5.2).
//!
//! A few bytes of state for each direction of a tunnel. It tells when a close frame of ours may
//! be put in, and whether what passed was data or only ping and pong. It judges nothing: what is
//! no WebSocket passes as it is.

/// What a piece of a stream held.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Passed {
    /// A data frame began.
    pub data: bool,
    /// A close frame began: nothing may follow it.
    pub close: bool,
}

/// The place in a stream of frames.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Frames {
    /// Bytes of the current frame's payload still to come.
    payload: u64,
    /// Bytes of the current header seen so far.
    seen: u8,
    /// Bytes that the current header has, once its second byte is known.
    needed: u8,
    /// Bytes of the extended length.
    extended: u8,
}

impl Frames {
    /// Between two frames.
    pub(super) fn at_boundary(self) -> bool {
        self.seen == 0 && self.payload == 0
    }

    /// Follows `bytes` to their end.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> Passed {
        let mut passed = Passed::default();
        let mut rest = bytes;
        while !rest.is_empty() {
            let taken = self.step(rest, &mut passed);
            rest = &rest[taken..];
        }
        passed
    }

    /// Follows `bytes` up to the first boundary; returns how many that are.
    pub(super) fn feed_to_boundary(&mut self, bytes: &[u8]) -> (usize, Passed) {
        let mut passed = Passed::default();
        let mut taken = 0;
        while taken < bytes.len() && !self.at_boundary() {
            taken += self.step(&bytes[taken..], &mut passed);
        }
        (taken, passed)
    }

    /// Takes one header byte, or as much payload as there is.
    fn step(&mut self, bytes: &[u8], passed: &mut Passed) -> usize {
        if self.payload > 0 && self.seen == 0 {
            let here = usize::try_from(self.payload).unwrap_or(usize::MAX).min(bytes.len());
            self.payload -= here as u64;
            return here;
        }
        self.header_byte(bytes[0], passed);
        1
    }

    fn header_byte(&mut self, byte: u8, passed: &mut Passed) {
        match self.seen {
            0 => {
                match byte & 0x0f {
                    0..=2 => passed.data = true,
                    8 => passed.close = true,
                    _ => {}
                }
                self.needed = 2;
            }
            1 => {
                let mask = if byte & 0x80 == 0 { 0 } else { 4 };
                (self.extended, self.payload) = match byte & 0x7f {
                    126 => (2, 0),
                    127 => (8, 0),
                    short => (0, u64::from(short)),
                };
                self.needed = 2 + self.extended + mask;
            }
            nth if nth < 2 + self.extended => self.payload = self.payload << 8 | u64::from(byte),
            _ => {}
        }
        self.seen += 1;
        if self.seen == self.needed {
            self.seen = 0;
        }
    }
}

/// A close frame with a code, and a mask when it goes to a server (the mask hides nothing here,
/// so zeroes do).
pub(super) fn close_frame(code: u16, masked: bool) -> Vec<u8> {
    let mut frame = vec![0x88, if masked { 0x82 } else { 0x02 }];
    if masked {
        frame.extend([0; 4]);
    }
    frame.extend(code.to_be_bytes());
    frame
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frame(opcode: u8, length: usize, masked: bool) -> Vec<u8> {
        let mask = if masked { 0x80 } else { 0 };
        let mut bytes = vec![0x80 | opcode];
        match length {
            0..126 => bytes.push(mask | u8::try_from(length).unwrap()),
            126..65536 => {
                bytes.push(mask | 0x7e);
                bytes.extend(u16::try_from(length).unwrap().to_be_bytes());
            }
            _ => {
                bytes.push(mask | 0x7f);
                bytes.extend((length as u64).to_be_bytes());
            }
        }
        bytes.resize(bytes.len() + if masked { 4 } else { 0 } + length, 0x81);
        bytes
    }

    #[test]
    fn kinds_are_told_apart() {
        for (opcode, wanted) in [
            (0, Passed { data: true, close: false }),
            (1, Passed { data: true, close: false }),
            (2, Passed { data: true, close: false }),
            (8, Passed { data: false, close: true }),
            (9, Passed::default()),
            (10, Passed::default()),
        ] {
            for length in [0, 1, 125, 126, 70_000] {
                let mut frames = Frames::default();
                assert_eq!(frames.feed(&frame(opcode, length, length % 2 == 0)), wanted);
                assert!(frames.at_boundary(), "{opcode} {length}");
            }
        }
    }

    #[test]
    fn stops_at_the_first_boundary() {
        let mut bytes = frame(1, 300, true);
        let first = bytes.len();
        bytes.extend(frame(9, 3, true));
        let mut frames = Frames::default();
        frames.feed(&bytes[..5]);
        assert!(!frames.at_boundary());
        let (taken, _) = frames.feed_to_boundary(&bytes[5..]);
        assert_eq!(taken + 5, first);
        assert_eq!(frames.feed_to_boundary(&bytes[first..]).0, 0);
    }

    #[test]
    fn close_frames() {
        assert_eq!(close_frame(1008, false), [0x88, 2, 3, 0xf0]);
        assert_eq!(close_frame(1001, true), [0x88, 0x82, 0, 0, 0, 0, 3, 0xe9]);
    }

    proptest! {
        #[test]
        fn pieces_do_not_matter(
            shape in prop::collection::vec((0u8..11, 0usize..700, any::<bool>()), 1..12),
            cut in 1usize..40,
        ) {
            let mut bytes = Vec::new();
            let mut ends = Vec::new();
            for (opcode, length, masked) in shape {
                bytes.extend(frame(opcode, length, masked));
                ends.push(bytes.len());
            }
            let mut frames = Frames::default();
            let mut at = 0;
            for piece in bytes.chunks(cut) {
                frames.feed(piece);
                at += piece.len();
                prop_assert_eq!(frames.at_boundary(), ends.contains(&at));
            }
        }
    }
}

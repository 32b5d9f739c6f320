//! Finds the boundaries of WebSocket frames in a stream of bytes (RFC 6455 section 5.2).
//!
//! Each direction of a tunnel keeps a few bytes of state. The state says where the proxy may insert a
//! close frame, and whether data frames or only ping and pong frames have passed. Frames are not
//! validated: bytes that are not WebSocket frames pass unchanged.

/// The opcode of a text frame.
const TEXT: u8 = 1;

/// The kinds of frames that began in a piece of a stream.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct SeenFrames {
    /// A data frame began that is no heartbeat of Engine.IO (Socket.IO): a text frame `2` or `3`, which
    /// a page sends by itself.
    pub data: bool,
    /// A close frame began. No frame may follow it.
    pub close: bool,
}

/// The position in a stream of frames.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct FrameTracker {
    /// Bytes of the current frame's payload that have not passed yet.
    payload: u64,
    /// Bytes of the current frame's header that have passed.
    header_bytes: u8,
    /// The length of the current frame's header, bytes; known after its second byte.
    header_length: u8,
    /// The length of the header's extended payload length, bytes: 0, 2 or 8.
    extended: u8,
    opcode: u8,
    /// The frame is a text of one byte, and this is the first byte of its mask.
    short_text: Option<u8>,
}

impl FrameTracker {
    /// Whether the position is between two frames.
    pub(super) fn at_boundary(self) -> bool {
        self.header_bytes == 0 && self.payload == 0
    }

    /// Moves the position past `bytes`.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> SeenFrames {
        let mut seen_frames = SeenFrames::default();
        let mut rest = bytes;
        while !rest.is_empty() {
            let taken = self.step(rest, &mut seen_frames);
            rest = &rest[taken..];
        }
        seen_frames
    }

    /// Moves the position to the first boundary in `bytes`. Returns the number of bytes before it.
    pub(super) fn feed_to_boundary(&mut self, bytes: &[u8]) -> (usize, SeenFrames) {
        let mut seen_frames = SeenFrames::default();
        let mut taken = 0;
        while taken < bytes.len() && !self.at_boundary() {
            taken += self.step(&bytes[taken..], &mut seen_frames);
        }
        (taken, seen_frames)
    }

    /// Moves past one byte of a header, or past all available bytes of the payload. Returns the number
    /// of bytes.
    fn step(&mut self, bytes: &[u8], seen_frames: &mut SeenFrames) -> usize {
        if self.payload > 0 && self.header_bytes == 0 {
            if let Some(mask) = self.short_text.take() {
                seen_frames.data |= !matches!(bytes[0] ^ mask, b'2' | b'3');
            }
            let here = usize::try_from(self.payload).unwrap_or(usize::MAX).min(bytes.len());
            self.payload -= here as u64;
            return here;
        }
        self.header_byte(bytes[0], seen_frames);
        1
    }

    fn header_byte(&mut self, byte: u8, seen_frames: &mut SeenFrames) {
        match self.header_bytes {
            0 => {
                self.opcode = byte & 0x0f;
                seen_frames.close |= self.opcode == 8;
                self.header_length = 2;
            }
            1 => {
                let mask = if byte & 0x80 == 0 { 0 } else { 4 };
                (self.extended, self.payload) = match byte & 0x7f {
                    126 => (2, 0),
                    127 => (8, 0),
                    short => (0, u64::from(short)),
                };
                self.header_length = 2 + self.extended + mask;
                let is_short = self.opcode == TEXT && byte & 0x7f == 1;
                self.short_text = is_short.then_some(0);
                seen_frames.data |= self.opcode <= 2 && !is_short;
            }
            nth if nth < 2 + self.extended => self.payload = self.payload << 8 | u64::from(byte),
            2 if self.short_text.is_some() => self.short_text = Some(byte),
            _ => {}
        }
        self.header_bytes += 1;
        if self.header_bytes == self.header_length {
            self.header_bytes = 0;
        }
    }
}

/// A close frame with a code. A frame to a server must have a mask; a mask of zeroes is enough,
/// because the frame has nothing to hide.
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
    fn data_and_close_frames_are_recognised() {
        for (opcode, wanted) in [
            (0, SeenFrames { data: true, close: false }),
            (1, SeenFrames { data: true, close: false }),
            (2, SeenFrames { data: true, close: false }),
            (8, SeenFrames { data: false, close: true }),
            (9, SeenFrames::default()),
            (10, SeenFrames::default()),
        ] {
            for length in [0, 1, 125, 126, 70_000] {
                let mut frames = FrameTracker::default();
                assert_eq!(frames.feed(&frame(opcode, length, length % 2 == 0)), wanted);
                assert!(frames.at_boundary(), "{opcode} {length}");
            }
        }
    }

    #[test]
    fn heartbeats_of_engine_io_are_no_data() {
        let text = |payload: &[u8], mask: Option<[u8; 4]>| {
            let flag = if mask.is_some() { 0x80 } else { 0 };
            let mut bytes = vec![0x81, flag | u8::try_from(payload.len()).unwrap()];
            bytes.extend(mask.iter().flatten());
            let masked = |(at, byte): (usize, &u8)| byte ^ mask.map_or(0, |mask| mask[at % 4]);
            bytes.extend(payload.iter().enumerate().map(masked));
            bytes
        };
        for (payload, data) in
            [("3", false), ("2", false), ("4", true), ("x", true), ("33", true), ("42[1]", true)]
        {
            for mask in [None, Some([0x37, 0xfa, 0x21, 0x3d])] {
                let mut bytes = text(payload.as_bytes(), mask);
                let mut frames = FrameTracker::default();
                assert_eq!(frames.feed(&bytes).data, data, "{payload} {mask:?}");
                assert!(frames.at_boundary());
                // Byte by byte, and two frames together.
                let seen = bytes.iter().filter(|byte| frames.feed(&[**byte]).data).count();
                assert_eq!(seen > 0, data, "{payload} {mask:?}");
                bytes.extend(text(b"3", mask));
                assert_eq!(frames.feed(&bytes).data, data, "{payload} {mask:?}");
            }
        }
    }

    #[test]
    fn feed_to_boundary_stops_at_the_first_boundary() {
        let mut bytes = frame(1, 300, true);
        let first = bytes.len();
        bytes.extend(frame(9, 3, true));
        let mut frames = FrameTracker::default();
        frames.feed(&bytes[..5]);
        assert!(!frames.at_boundary());
        let (taken, _) = frames.feed_to_boundary(&bytes[5..]);
        assert_eq!(taken + 5, first);
        assert_eq!(frames.feed_to_boundary(&bytes[first..]).0, 0);
    }

    #[test]
    fn a_close_frame_has_code_and_mask() {
        assert_eq!(close_frame(1008, false), [0x88, 2, 3, 0xf0]);
        assert_eq!(close_frame(1001, true), [0x88, 0x82, 0, 0, 0, 0, 3, 0xe9]);
    }

    proptest! {
        #[test]
        fn boundaries_do_not_depend_on_how_the_stream_is_split(
            shape in prop::collection::vec((0u8..11, 0usize..700, any::<bool>()), 1..12),
            cut in 1usize..40,
        ) {
            let mut bytes = Vec::new();
            let mut ends = Vec::new();
            for (opcode, length, masked) in shape {
                bytes.extend(frame(opcode, length, masked));
                ends.push(bytes.len());
            }
            let mut frames = FrameTracker::default();
            let mut at = 0;
            for piece in bytes.chunks(cut) {
                frames.feed(piece);
                at += piece.len();
                prop_assert_eq!(frames.at_boundary(), ends.contains(&at));
            }
        }
    }
}

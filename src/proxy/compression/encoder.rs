//! Compresses bytes piece by piece.

use std::io::{self, Write};

use crate::proxy::phases::headers::content_coding::Coding;

/// How hard an encoder tries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effort {
    /// For one request: little time and memory.
    Once,
    /// For many requests: a small result.
    ForMany,
}

/// An encoder; what it has written is taken with [`Encoder::take`].
pub(super) enum Encoder {
    // Two are boxed, because they are large.
    Gzip(Box<flate2::write::GzEncoder<Vec<u8>>>),
    Brotli(Box<brotli::CompressorWriter<Vec<u8>>>),
    Zstd(zstd::stream::write::Encoder<'static, Vec<u8>>),
}

/// Size of brotli's own buffer, bytes.
const BUFFER: usize = 4096;
/// Window of a stream, as a power of two: 256 KiB, of which the encoder needs a few.
const STREAM_WINDOW: u32 = 18;
/// Brotli's window for many requests: 4 MiB.
const LONG_WINDOW: u32 = 22;

impl Encoder {
    pub(super) fn new(coding: Coding, effort: Effort) -> io::Result<Self> {
        let once = effort == Effort::Once;
        Ok(match coding {
            Coding::Gzip => {
                let level = flate2::Compression::new(if once { 5 } else { 9 });
                Self::Gzip(Box::new(flate2::write::GzEncoder::new(Vec::new(), level)))
            }
            Coding::Brotli => {
                // From quality 7 on, the tables have tens of megabytes for the shortest text.
                let (quality, window) = if once { (4, STREAM_WINDOW) } else { (6, LONG_WINDOW) };
                let writer = brotli::CompressorWriter::new(Vec::new(), BUFFER, quality, window);
                Self::Brotli(Box::new(writer))
            }
            Coding::Zstd => {
                let mut encoder =
                    zstd::stream::write::Encoder::new(Vec::new(), if once { 3 } else { 12 })?;
                if once {
                    encoder.set_parameter(zstd::zstd_safe::CParameter::WindowLog(STREAM_WINDOW))?;
                }
                Self::Zstd(encoder)
            }
        })
    }

    /// Compresses a whole text.
    pub(super) fn all(coding: Coding, effort: Effort, text: &[u8]) -> io::Result<Vec<u8>> {
        let mut encoder = Self::new(coding, effort)?;
        if let Self::Zstd(zstd) = &mut encoder {
            // Its tables then have the size of the text.
            zstd.set_pledged_src_size(Some(text.len() as u64))?;
        }
        encoder.write(text)?;
        encoder.finish()
    }

    /// Takes the next piece.
    pub(super) fn write(&mut self, piece: &[u8]) -> io::Result<()> {
        match self {
            Self::Gzip(encoder) => encoder.write_all(piece),
            Self::Brotli(encoder) => encoder.write_all(piece),
            Self::Zstd(encoder) => encoder.write_all(piece),
        }
    }

    /// Writes all that was taken, so that the client can read it now.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Gzip(encoder) => encoder.flush(),
            Self::Brotli(encoder) => encoder.flush(),
            Self::Zstd(encoder) => encoder.flush(),
        }
    }

    /// Bytes that were written since the last [`Self::take`].
    pub(super) fn written(&self) -> usize {
        match self {
            Self::Gzip(encoder) => encoder.get_ref().len(),
            Self::Brotli(encoder) => encoder.get_ref().len(),
            Self::Zstd(encoder) => encoder.get_ref().len(),
        }
    }

    /// What was written since the last call.
    pub(super) fn take(&mut self) -> Vec<u8> {
        std::mem::take(match self {
            Self::Gzip(encoder) => encoder.get_mut(),
            Self::Brotli(encoder) => encoder.get_mut(),
            Self::Zstd(encoder) => encoder.get_mut(),
        })
    }

    /// Ends the text; what was written since the last [`Self::take`].
    pub(super) fn finish(self) -> io::Result<Vec<u8>> {
        match self {
            Self::Gzip(encoder) => encoder.finish(),
            Self::Brotli(encoder) => Ok(encoder.into_inner()),
            Self::Zstd(encoder) => encoder.finish(),
        }
    }
}

impl std::fmt::Debug for Encoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Encoder").finish_non_exhaustive()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// The text that was compressed.
    pub(in crate::proxy::compression) fn decompressed(coding: Coding, bytes: &[u8]) -> Vec<u8> {
        use std::io::Read as _;
        let mut text = Vec::new();
        match coding {
            Coding::Gzip => flate2::read::GzDecoder::new(bytes).read_to_end(&mut text).unwrap(),
            Coding::Brotli => {
                brotli::Decompressor::new(bytes, BUFFER).read_to_end(&mut text).unwrap()
            }
            Coding::Zstd => {
                zstd::stream::read::Decoder::new(bytes).unwrap().read_to_end(&mut text).unwrap()
            }
        };
        text
    }

    const CODINGS: [Coding; 3] = [Coding::Gzip, Coding::Brotli, Coding::Zstd];

    fn text() -> Vec<u8> {
        (0..9000)
            .flat_map(|n| format!("function f{n}(){{return {}}}\n", n * 7).into_bytes())
            .collect()
    }

    #[test]
    fn a_text_stays_the_same() {
        for coding in CODINGS {
            for effort in [Effort::Once, Effort::ForMany] {
                let bytes = Encoder::all(coding, effort, &text()).unwrap();
                assert!(bytes.len() < text().len() / 3, "{coding:?} {effort:?}: {}", bytes.len());
                assert_eq!(decompressed(coding, &bytes), text(), "{coding:?} {effort:?}");
            }
            assert_eq!(
                decompressed(coding, &Encoder::all(coding, Effort::Once, b"").unwrap()),
                b""
            );
        }
    }

    #[test]
    fn flushed_pieces_can_be_read_before_the_end() {
        use std::io::Read as _;
        for coding in CODINGS {
            let mut encoder = Encoder::new(coding, Effort::Once).unwrap();
            encoder.write(b"hello").unwrap();
            encoder.flush().unwrap();
            let sent = encoder.take();
            let mut begin = [0; 5];
            match coding {
                Coding::Gzip => flate2::read::GzDecoder::new(&sent[..]).read_exact(&mut begin),
                Coding::Brotli => brotli::Decompressor::new(&sent[..], 64).read_exact(&mut begin),
                Coding::Zstd => {
                    zstd::stream::read::Decoder::new(&sent[..]).unwrap().read_exact(&mut begin)
                }
            }
            .unwrap();
            assert_eq!(&begin, b"hello", "{coding:?}");
            let rest = encoder.finish().unwrap();
            assert_eq!(decompressed(coding, &[sent, rest].concat()), b"hello", "{coding:?}");
        }
    }
}

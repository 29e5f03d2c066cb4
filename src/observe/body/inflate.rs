//! Content codings: gzip and deflate are inflated as they pass, others are not read.

use flate2::write::{DeflateDecoder, GzDecoder, ZlibDecoder};
use std::io::{self, Write};

/// Hands the plain bytes of a body on to a sink. A sink that returns an error ends the reading, which bounds what a
/// small body may inflate to.
///
/// gzip and deflate take about 75 KiB while the body passes: DEFLATE's window and tables.
pub enum Inflater<W: Write> {
    /// The body is plain.
    Plain(W),
    /// gzip (RFC 1952).
    Gzip(Box<GzDecoder<W>>),
    /// deflate, before its first byte tells which of the two it is.
    Deflate(Option<W>),
    /// deflate as the standard has it: zlib (RFC 1950).
    Zlib(Box<ZlibDecoder<W>>),
    /// deflate as some senders have it: without zlib's frame (RFC 1951).
    Raw(Box<DeflateDecoder<W>>),
    /// A coding that is not read.
    Opaque(W),
}

impl<W: Write> Inflater<W> {
    /// For a `content-encoding`; none means plain.
    #[must_use]
    pub fn new(coding: Option<&[u8]>, sink: W) -> Self {
        let coding = coding.unwrap_or_default().trim_ascii();
        let is = |name: &str| coding.eq_ignore_ascii_case(name.as_bytes());
        if coding.is_empty() || is("identity") {
            Self::Plain(sink)
        } else if is("gzip") || is("x-gzip") {
            Self::Gzip(Box::new(GzDecoder::new(sink)))
        } else if is("deflate") {
            Self::Deflate(Some(sink))
        } else {
            Self::Opaque(sink)
        }
    }

    /// Whether the coding is one that is not read.
    #[must_use]
    pub fn is_opaque(&self) -> bool {
        matches!(self, Self::Opaque(_))
    }

    /// Reads the next chunk. An error says that the sink wants no more, or that the coding is broken.
    pub fn feed(&mut self, chunk: &[u8]) -> io::Result<()> {
        if let (Self::Deflate(sink), Some(first)) = (&mut *self, chunk.first())
            && let Some(sink) = sink.take()
        {
            // zlib's first byte names method 8 in its low half; a raw stream that begins so is rare.
            *self = if first & 0x0f == 8 {
                Self::Zlib(Box::new(ZlibDecoder::new(sink)))
            } else {
                Self::Raw(Box::new(DeflateDecoder::new(sink)))
            };
        }
        match self {
            Self::Plain(sink) => sink.write_all(chunk),
            Self::Gzip(decoder) => decoder.write_all(chunk),
            Self::Zlib(decoder) => decoder.write_all(chunk),
            Self::Raw(decoder) => decoder.write_all(chunk),
            Self::Deflate(_) | Self::Opaque(_) => Ok(()),
        }
    }

    /// The body is at its end: brings what is still inside to the sink. What was inflated before an error is what
    /// there is.
    pub fn finish(&mut self) {
        let _ = match self {
            Self::Gzip(decoder) => decoder.try_finish(),
            Self::Zlib(decoder) => decoder.try_finish(),
            Self::Raw(decoder) => decoder.try_finish(),
            Self::Plain(_) | Self::Deflate(_) | Self::Opaque(_) => Ok(()),
        };
    }

    /// The sink.
    pub fn sink(&mut self) -> Option<&mut W> {
        match self {
            Self::Plain(sink) | Self::Opaque(sink) => Some(sink),
            Self::Gzip(decoder) => Some(decoder.get_mut()),
            Self::Zlib(decoder) => Some(decoder.get_mut()),
            Self::Raw(decoder) => Some(decoder.get_mut()),
            Self::Deflate(sink) => sink.as_mut(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};

    const TEXT: &[u8] = b"{\"a\": \"the same again, the same again, the same again\"}";

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn inflate(coding: &str, body: &[u8], size: usize) -> Vec<u8> {
        let mut inflater = Inflater::new(Some(coding.as_bytes()), Vec::new());
        for chunk in body.chunks(size) {
            if inflater.feed(chunk).is_err() {
                break;
            }
        }
        inflater.finish();
        inflater.sink().unwrap().clone()
    }

    #[test]
    fn each_coding_is_inflated_in_chunks_of_any_size() {
        let mut zlib = ZlibEncoder::new(Vec::new(), Compression::default());
        let mut raw = DeflateEncoder::new(Vec::new(), Compression::default());
        zlib.write_all(TEXT).unwrap();
        raw.write_all(TEXT).unwrap();
        let (zlib, raw) = (zlib.finish().unwrap(), raw.finish().unwrap());
        for (coding, body) in [
            ("", TEXT),
            ("identity", TEXT),
            ("gzip", &gzip(TEXT)),
            ("X-GZIP", &gzip(TEXT)),
            ("deflate", &zlib),
            ("deflate", &raw),
        ] {
            for size in [1, 3, body.len()] {
                assert_eq!(inflate(coding, body, size), TEXT, "{coding} by {size}");
            }
        }
    }

    #[test]
    fn what_is_broken_or_unknown_yields_what_there_is() {
        let body = gzip(TEXT);
        assert!(inflate("gzip", &body[..body.len() / 2], 5).len() < TEXT.len());
        assert_eq!(inflate("gzip", b"no gzip at all", 5), b"");
        assert_eq!(inflate("deflate", b"\xff\xff\xff\xff", 5), b"");
        assert_eq!(inflate("br", TEXT, 5), b"");
        assert_eq!(inflate("gzip, gzip", TEXT, 5), b"");
    }

    /// Takes so many bytes and then no more.
    struct Limited(usize);

    impl Write for Limited {
        fn write(&mut self, part: &[u8]) -> io::Result<usize> {
            self.0 = self.0.checked_sub(part.len()).ok_or(io::ErrorKind::StorageFull)?;
            Ok(part.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_bomb_ends_where_the_sink_ends_it() {
        let bomb = gzip(&vec![0; 64 << 20]);
        let mut inflater = Inflater::new(Some(b"gzip"), Limited(1 << 20));
        assert!(inflater.feed(&bomb).is_err());
        assert!(inflater.sink().unwrap().0 > (1 << 20) - (64 << 10) || inflater.sink().unwrap().0 < 64 << 10);
    }
}

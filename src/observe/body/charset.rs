//! The charset of a JSON body: UTF-8 passes, UTF-16 and UTF-32 become it, and a mark of byte order is left out.
//!
//! RFC 8259 asks for UTF-8 without a mark and lets parsers ignore one; Python's `json.loads`, behind many origins, also reads what RFC 4627
//! allowed, and tells it by where the zeros among the first four bytes stand. .NET's `StreamWriter` and older PowerShell send the mark.

use std::io::{self, Write};

/// A sink for a body in any Unicode charset, which hands it on as UTF-8.
pub struct Charset<W> {
    /// The bytes that are not told or not whole yet: up to three, of four that make a character.
    held: [u8; 4],
    count: usize,
    form: Form,
    /// The first half of a surrogate pair.
    high: u32,
    sink: W,
}

/// How characters are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// Not told yet.
    Awaited,
    Utf8,
    /// Units of so many bytes, the lowest first or last.
    Units {
        size: usize,
        is_little: bool,
    },
}

/// The form and how many of the bytes are its mark, by the first four bytes of a body.
fn told(first: [u8; 4]) -> (Form, usize) {
    let units = |size, is_little| Form::Units { size, is_little };
    match first {
        [0xef, 0xbb, 0xbf, _] => (Form::Utf8, 3),
        [0xff, 0xfe, 0, 0] => (units(4, true), 4),
        [0, 0, 0xfe, 0xff] => (units(4, false), 4),
        [0xff, 0xfe, ..] => (units(2, true), 2),
        [0xfe, 0xff, ..] => (units(2, false), 2),
        [_, 0, 0, 0] => (units(4, true), 0),
        [0, 0, 0, _] => (units(4, false), 0),
        [_, 0, _, 0] => (units(2, true), 0),
        [0, _, 0, _] => (units(2, false), 0),
        _ => (Form::Utf8, 0),
    }
}

impl<W: Write> Charset<W> {
    /// A sink that hands on to `sink`.
    pub fn new(sink: W) -> Self {
        Self { held: [0; 4], count: 0, form: Form::Awaited, high: 0, sink }
    }

    /// The sink behind it. A body of less than four bytes has reached it by then only if it is finished.
    pub fn sink(&mut self) -> &mut W {
        &mut self.sink
    }

    /// The body is at its end.
    pub fn finish(&mut self) {
        if self.form == Form::Awaited {
            let held = self.held;
            self.form = Form::Utf8;
            let _ = self.sink.write_all(held.get(..self.count).unwrap_or_default());
            self.count = 0;
        }
    }

    /// Holds bytes of a chunk until there are so many. Returns the rest of the chunk.
    fn hold<'c>(&mut self, chunk: &'c [u8], wanted: usize) -> &'c [u8] {
        let (part, rest) = chunk.split_at(chunk.len().min(wanted.saturating_sub(self.count)));
        if let Some(free) = self.held.get_mut(self.count..self.count + part.len()) {
            free.copy_from_slice(part);
        }
        self.count += part.len();
        rest
    }

    /// Writes units of UTF-16 or UTF-32 as UTF-8, a piece at a time.
    #[inline(never)] // hardly anybody writes so
    fn write_units(&mut self, mut chunk: &[u8], size: usize, is_little: bool) -> io::Result<()> {
        let mut piece = [0; 256];
        let mut length = 0;
        while !chunk.is_empty() {
            chunk = self.hold(chunk, size);
            if self.count < size {
                break;
            }
            self.count = 0;
            let bytes = self.held.iter().take(size);
            let unit = |all: u32, byte: &u8| all << 8 | u32::from(*byte);
            let unit = if is_little { bytes.rev().fold(0, unit) } else { bytes.fold(0, unit) };
            let Some(character) = self.character(unit) else { continue };
            if let Some(free) = piece.get_mut(length..) {
                length += character.encode_utf8(free).len();
            }
            if length + 4 > piece.len() {
                self.sink.write_all(piece.get(..length).unwrap_or_default())?;
                length = 0;
            }
        }
        self.sink.write_all(piece.get(..length).unwrap_or_default())
    }

    /// The character that a unit completes; U+FFFD where it cannot stand there.
    fn character(&mut self, unit: u32) -> Option<char> {
        let high = std::mem::take(&mut self.high);
        match unit {
            0xd800..=0xdbff => {
                self.high = unit;
                None
            }
            0xdc00..=0xdfff if high != 0 => char::from_u32(0x10000 + ((high - 0xd800) << 10) + (unit - 0xdc00)),
            _ => Some(char::from_u32(unit).unwrap_or(char::REPLACEMENT_CHARACTER)),
        }
    }
}

impl<W: Write> Write for Charset<W> {
    fn write(&mut self, chunk: &[u8]) -> io::Result<usize> {
        let mut rest = chunk;
        if self.form == Form::Awaited {
            rest = self.hold(chunk, 4);
            if self.count < 4 {
                return Ok(chunk.len());
            }
            let (form, mark) = told(self.held);
            (self.form, self.count) = (form, 0);
            let held = self.held;
            self.pass(held.get(mark..).unwrap_or_default())?;
        }
        self.pass(rest)?;
        Ok(chunk.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<W: Write> Charset<W> {
    #[inline(never)] // once in the module
    fn pass(&mut self, chunk: &[u8]) -> io::Result<()> {
        match self.form {
            Form::Units { size, is_little } => self.write_units(chunk, size, is_little),
            Form::Utf8 | Form::Awaited => self.sink.write_all(chunk),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(body: &[u8], size: usize) -> String {
        let mut charset = Charset::new(Vec::new());
        for chunk in body.chunks(size) {
            charset.write_all(chunk).unwrap();
        }
        charset.finish();
        String::from_utf8_lossy(charset.sink()).into_owned()
    }

    /// A text in each form, with its mark and without.
    fn forms(text: &str) -> Vec<Vec<u8>> {
        let marked = format!("\u{feff}{text}");
        let utf16 = |text: &str, bytes: fn(u16) -> [u8; 2]| text.encode_utf16().flat_map(bytes).collect::<Vec<u8>>();
        let utf32 =
            |text: &str, bytes: fn(u32) -> [u8; 4]| text.chars().flat_map(|c| bytes(c.into())).collect::<Vec<u8>>();
        [text, &marked]
            .into_iter()
            .flat_map(|text| {
                [
                    text.as_bytes().to_vec(),
                    utf16(text, u16::to_le_bytes),
                    utf16(text, u16::to_be_bytes),
                    utf32(text, u32::to_le_bytes),
                    utf32(text, u32::to_be_bytes),
                ]
            })
            .collect()
    }

    proptest! {
        #[test]
        fn each_form_is_told_and_becomes_utf8(inside in "\\PC{0,300}", size in 1usize..40) {
            let text = format!("{{\"a\": \"{inside}\"}}");
            for (number, form) in forms(&text).into_iter().enumerate() {
                prop_assert_eq!(read(&form, size), &*text, "form {}", number);
            }
        }

        #[test]
        fn any_bytes_pass(bytes in proptest::collection::vec(any::<u8>(), 0..300), size in 1usize..40) {
            prop_assert_eq!(read(&bytes, size), read(&bytes, usize::MAX));
        }
    }

    #[test]
    fn short_bodies_arrive() {
        for body in ["", "{", "{}", "{ }", "{  }"] {
            assert_eq!(read(body.as_bytes(), 1), body);
        }
    }
}

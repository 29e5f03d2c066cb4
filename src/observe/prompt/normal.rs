//! A text in the form in which texts are compared: lower case, numbers as `0`, white space as one space.

use super::super::excerpt::{HEAD, TAIL};

/// Bytes of normalised text that are kept. Lower case may take more bytes than upper case.
const ROOM: usize = HEAD + TAIL + 256;

/// Normalised text; fixed size.
pub struct Normal {
    bytes: [u8; ROOM],
    length: usize,
    /// What was written last: of white space and of digits in a row one is kept.
    last: u8,
}

/// What each ASCII character becomes.
#[allow(clippy::indexing_slicing)] // in range, or it would not compile
const ASCII: [u8; 128] = {
    let mut table = [0; 128];
    let mut byte = 0;
    while byte < 128 {
        table[byte] = match byte as u8 {
            b'0'..=b'9' => DIGIT,
            b' ' | b'\t'..=b'\r' => SPACE,
            other => other.to_ascii_lowercase(),
        };
        byte += 1;
    }
    table
};
const SPACE: u8 = b' ';
const DIGIT: u8 = b'0';

impl Normal {
    /// Normalises a text. Bytes that are no UTF-8, as where an excerpt was cut inside a character, are left out.
    #[must_use]
    pub fn new(text: &[u8]) -> Self {
        // White space at the start is left out too.
        let mut normal = Self { bytes: [0; ROOM], length: 0, last: SPACE };
        // Most text begins in ASCII, where each byte is a character; the rest is read as what it may be.
        let ascii = text.iter().position(|byte| !byte.is_ascii()).unwrap_or(text.len());
        let (ascii, rest) = text.split_at_checked(ascii).unwrap_or_default();
        for &byte in ascii {
            normal.push(ASCII.get(usize::from(byte)).copied().unwrap_or(byte));
        }
        for chunk in rest.utf8_chunks() {
            for character in chunk.valid().chars() {
                match ASCII.get(character as usize) {
                    Some(&byte) => normal.push(byte),
                    None if character.is_whitespace() => normal.push(SPACE),
                    None if character.is_numeric() => normal.push(DIGIT),
                    None => normal.push_lower(character),
                }
            }
        }
        normal.length -= usize::from(normal.bytes().ends_with(b" "));
        normal
    }

    /// The normalised text, which is UTF-8.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }

    fn push(&mut self, byte: u8) {
        if byte == self.last && (byte == SPACE || byte == DIGIT) {
            return;
        }
        self.last = byte;
        if let Some(place) = self.bytes.get_mut(self.length) {
            *place = byte;
            self.length += 1;
        }
    }

    fn push_lower(&mut self, character: char) {
        self.last = 0;
        for lower in character.to_lowercase() {
            let end = self.length + lower.len_utf8();
            if let Some(free) = self.bytes.get_mut(self.length..end) {
                lower.encode_utf8(free);
                self.length = end;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn case_numbers_and_white_space_do_not_count() {
        for (text, expected) in [
            ("  Question 12:\n\n\tWhat IS 3.50 €? ", "question 0: what is 0.0 €?"),
            ("ÄRGER im CAFÉ", "ärger im café"),
            ("第１２题：\u{3000}你好", "第0题： 你好"),
            ("٣٤ سؤال", "0 سؤال"),
            ("", ""),
            (" \n ", ""),
        ] {
            assert_eq!(std::str::from_utf8(Normal::new(text.as_bytes()).bytes()), Ok(expected));
        }
    }

    #[test]
    fn broken_characters_are_left_out() {
        let text = "né".as_bytes();
        assert_eq!(Normal::new(&[&text[..2], b" x"].concat()).bytes(), b"n x");
    }

    proptest! {
        #[test]
        fn any_bytes_become_bounded_text(bytes in proptest::collection::vec(any::<u8>(), 0..4000)) {
            let normal = Normal::new(&bytes);
            prop_assert!(std::str::from_utf8(normal.bytes()).is_ok());
            prop_assert!(normal.bytes().len() <= ROOM);
        }

        #[test]
        fn a_normalised_text_stays_as_it_is(text in "\\PC{0,300}") {
            let once = Normal::new(text.as_bytes());
            let twice = Normal::new(once.bytes());
            prop_assert_eq!(once.bytes(), twice.bytes());
        }
    }
}

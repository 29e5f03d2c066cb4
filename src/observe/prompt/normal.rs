//! A text in the form in which texts are compared: lower case, numbers as `0`, white space as one space.

use super::super::excerpt::{HEAD, TAIL};

/// Bytes of normalised text that are kept. Lower case may take more bytes than upper case.
const ROOM: usize = HEAD + TAIL + 256;

/// Normalised text; fixed size.
pub struct Normal {
    bytes: [u8; ROOM],
    length: usize,
    last: Last,
}

/// What was written last.
#[derive(Clone, Copy, PartialEq)]
enum Last {
    Space,
    Digit,
    Other,
}

impl Normal {
    /// Normalises a text. Bytes that are no UTF-8, as where an excerpt was cut inside a character, are left out.
    #[must_use]
    pub fn new(text: &[u8]) -> Self {
        // White space at the start is left out too.
        let mut normal = Self { bytes: [0; ROOM], length: 0, last: Last::Space };
        for chunk in text.utf8_chunks() {
            for character in chunk.valid().chars() {
                normal.push(character);
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

    fn push(&mut self, character: char) {
        if character.is_ascii_lowercase() {
            self.write(character);
            self.last = Last::Other;
        } else if character.is_whitespace() {
            if self.last != Last::Space {
                self.write(' ');
            }
            self.last = Last::Space;
        } else if character.is_numeric() {
            if self.last != Last::Digit {
                self.write('0');
            }
            self.last = Last::Digit;
        } else {
            if character.is_ascii() {
                self.write(character.to_ascii_lowercase());
            } else {
                character.to_lowercase().for_each(|lower| self.write(lower));
            }
            self.last = Last::Other;
        }
    }

    fn write(&mut self, character: char) {
        let end = self.length + character.len_utf8();
        if let Some(free) = self.bytes.get_mut(self.length..end) {
            character.encode_utf8(free);
            self.length = end;
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

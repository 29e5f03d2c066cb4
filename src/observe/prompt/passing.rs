//! Cues in text that passes and is not kept: the middle of long texts, earlier turns, what is said of tools.

use super::super::excerpt::{Excerpt, HEAD, TAIL};
use super::cue::Cues;
use super::normal::Normal;

/// Bytes that are looked through together.
const ROOM: usize = 1024;
/// Bytes of one look that the next sees again: a phrase may lie across.
const AGAIN: usize = 96;

/// Looks for cues in a text that comes in parts. Takes a kilobyte, and about ten instructions a byte.
#[derive(Clone, Debug)]
pub struct PassingText {
    bytes: [u8; ROOM],
    length: usize,
    cues: Cues,
}

impl Default for PassingText {
    fn default() -> Self {
        Self { bytes: [0; ROOM], length: 0, cues: Cues::default() }
    }
}

impl PassingText {
    /// Reads the next part.
    #[inline(never)] // once in the module
    pub fn push(&mut self, mut part: &[u8]) {
        while !part.is_empty() {
            let (now, later) = part.split_at(part.len().min(ROOM - self.length));
            if let Some(free) = self.bytes.get_mut(self.length..self.length + now.len()) {
                free.copy_from_slice(now);
            }
            self.length += now.len();
            part = later;
            if self.length == ROOM {
                self.look();
                self.bytes.copy_within(ROOM - AGAIN.., 0);
                self.length = AGAIN;
            }
        }
    }

    /// Reads a text that was kept whole. One that was cut passed here as it came.
    #[inline(never)] // once in the module
    pub fn push_excerpt(&mut self, text: &Excerpt) {
        if text.length() > 0 && !text.is_cut() {
            self.push(text.copy_to(&mut [0; HEAD + TAIL]));
            self.end();
        }
    }

    /// The text is at its end: what follows is another.
    pub fn end(&mut self) {
        self.look();
        self.length = 0;
    }

    /// The cues that were found.
    #[must_use]
    pub fn cues(&self) -> Cues {
        self.cues
    }

    #[inline(never)] // once in the module
    fn look(&mut self) {
        self.cues = self.cues | Cues::find(&Normal::new(self.bytes.get(..self.length).unwrap_or_default()));
    }
}

#[cfg(test)]
mod tests {
    use super::super::cue::Cue;
    use super::*;

    #[test]
    fn a_phrase_is_found_wherever_it_stands_and_however_it_comes() {
        let phrase = "write out your reasoning";
        for before in [0, 1, ROOM - 30, ROOM - 12, ROOM, 5 * ROOM + 700] {
            let text = format!("{} {phrase} {}", "a ".repeat(before / 2), "b ".repeat(2_000));
            for size in [1, 7, 1_000, text.len()] {
                let mut passing = PassingText::default();
                text.as_bytes().chunks(size).for_each(|part| passing.push(part));
                passing.end();
                assert!(passing.cues().has(Cue::Reasoning), "{before} by {size}");
            }
        }
    }

    #[test]
    fn a_phrase_across_two_texts_is_none() {
        let mut passing = PassingText::default();
        passing.push(b"write out ");
        passing.end();
        passing.push(b"your reasoning");
        passing.end();
        assert!(!passing.cues().any());
    }
}

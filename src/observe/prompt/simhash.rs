//! SimHash (Charikar, STOC 2002; Manku, Jain and Das Sarma, WWW 2007): texts that share most word pairs share most of
//! 64 bits.

use super::super::hash::mix;
use super::words;

/// A word longer than this, in characters, is cut: scripts without spaces would be one word otherwise.
const LONGEST: usize = 12;

/// Hashes normalised text. Who does not know the seed cannot aim at a value.
#[must_use]
pub fn simhash(text: &str, seed: u64) -> u64 {
    let mut words = Words::new(seed);
    // Most text is ASCII, and then each byte is a character.
    if text.is_ascii() {
        words.read_ascii(text.as_bytes());
    } else {
        words.read(text);
    }
    words.pairs.more_than_half()
}

/// The words of a text as they are read, in pairs.
struct Words {
    seed: u64,
    before: u64,
    pairs: Counters,
}

impl Words {
    fn new(seed: u64) -> Self {
        Self { seed, before: seed, pairs: Counters::default() }
    }

    fn read(&mut self, text: &str) {
        let (mut word, mut length) = (self.seed, 0);
        for character in text.chars().chain([' ']) {
            let is_letter = character.is_alphanumeric();
            if is_letter {
                word = letter(word, character);
                length += 1;
            }
            let ends = !is_letter || length == LONGEST || is_word_alone(character);
            if ends && length > 0 {
                self.add(word);
                (word, length) = (self.seed, 0);
            }
        }
    }

    fn read_ascii(&mut self, text: &[u8]) {
        /// What is read of a block that is all one word: words of the longest.
        const CUT: usize = words::BLOCK / LONGEST * LONGEST;
        let mut rest = text;
        while !rest.is_empty() {
            let block = words::block(rest);
            let mut letters = words::letters(&block);
            let open = letters.leading_ones() as usize;
            // A word that may go on behind the block is read with what follows it.
            let read = match rest.len() > words::BLOCK {
                true if open == words::BLOCK => CUT,
                true => words::BLOCK - open,
                false => words::BLOCK,
            };
            letters &= u64::MAX >> (words::BLOCK - read);
            let (mut starts, mut ends) = (letters & !(letters << 1), letters & !(letters >> 1));
            while starts != 0 {
                let (start, end) = (starts.trailing_zeros() as usize, ends.trailing_zeros() as usize + 1);
                (starts, ends) = (starts & (starts - 1), ends & (ends - 1));
                for word in block.get(start..end).unwrap_or_default().chunks(LONGEST) {
                    self.add(word.iter().copied().fold(self.seed, letter));
                }
            }
            rest = rest.get(read..).unwrap_or_default();
        }
    }

    fn add(&mut self, word: u64) {
        self.pairs.add(mix(self.before.rotate_left(1) ^ word));
        self.before = word;
    }
}

/// A word with one more letter.
fn letter(word: u64, letter: impl Into<u32>) -> u64 {
    word.rotate_left(11) ^ u64::from(letter.into())
}

/// Characters of scripts that put no spaces between words and whose characters carry meaning alone.
const fn is_word_alone(character: char) -> bool {
    matches!(character, '\u{2e80}'..='\u{a4cf}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}')
}

/// How many of the words that were added have each of 64 bits.
#[derive(Default)]
struct Counters {
    /// In binary across the planes: bit `i` of plane `p` is worth `2^p` for bit `i`.
    planes: [u64; PLANES],
    /// Words that wait to be added together, which takes a third of the work of adding each alone.
    waiting: [u64; 8],
    words: usize,
}

/// So many planes hold more words than a normalised excerpt has bytes.
const PLANES: usize = 11;

impl Counters {
    #[inline]
    fn add(&mut self, word: u64) {
        if let Some(place) = self.waiting.get_mut(self.words % 8) {
            *place = word;
        }
        self.words += 1;
        if self.words.is_multiple_of(8) {
            self.add_eight();
        }
    }

    /// Adds the words by a tree of full adders (Harley and Seal; in Warren, Hacker's Delight, 2nd edition, section 5-1).
    #[inline(never)] // inlined, it takes the registers of what reads words
    fn add_eight(&mut self) {
        let [a, b, c, d, e, f, g, h] = self.waiting;
        let [ones, twos, fours, higher @ ..] = &mut self.planes;
        let pair = [full(ones, a, b), full(ones, c, d), full(ones, e, f), full(ones, g, h)];
        let four = [full(twos, pair[0], pair[1]), full(twos, pair[2], pair[3])];
        carry(higher, full(fours, four[0], four[1]));
    }

    /// The bits that more than half of the words have: all 64 are compared at once, from the highest plane down.
    fn more_than_half(mut self) -> u64 {
        for word in self.waiting.into_iter().take(self.words % 8) {
            carry(&mut self.planes, word);
        }
        let half = self.words / 2;
        let (mut above, mut equal) = (0, u64::MAX);
        for (place, plane) in self.planes.iter().enumerate().rev() {
            if half >> place & 1 == 0 {
                above |= equal & plane;
                equal &= !plane;
            } else {
                equal &= plane;
            }
        }
        above
    }
}

/// Adds two words to a plane. Returns what is carried.
fn full(plane: &mut u64, a: u64, b: u64) -> u64 {
    let either = a ^ b;
    let carried = a & b | either & *plane;
    *plane ^= either;
    carried
}

/// Adds a word to the lowest of these planes.
fn carry(planes: &mut [u64], word: u64) {
    let mut carried = word;
    for plane in planes {
        if carried == 0 {
            break;
        }
        (*plane, carried) = (*plane ^ carried, *plane & carried);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn distance(a: &str, b: &str) -> u32 {
        (simhash(a, 7) ^ simhash(b, 7)).count_ones()
    }

    #[test]
    fn texts_that_share_most_words_are_near_and_others_far() {
        let text = "the quick brown fox jumps over the lazy dog while the farmer looks on and the sun goes down";
        let near = "the quick brown fox jumps over the lazy dog while the farmer looks on and the moon goes up";
        let far = "please translate this short letter to my landlord about the broken heating into polite german";
        assert!(distance(text, near) < 20, "{}", distance(text, near));
        assert!(distance(text, far) > 20, "{}", distance(text, far));
        assert_eq!(distance(text, text), 0);
        assert_ne!(simhash(text, 1), simhash(text, 2));
    }

    #[test]
    fn scripts_without_spaces_have_words_too() {
        let text = "请用简单的语言解释量子纠缠是什么以及它为什么重要";
        let near = "请用简单的语言解释量子纠缠是什么以及它为什么有趣";
        let far = "明天北京的天气怎么样需要带伞吗我想出门散步";
        assert!(distance(text, near) < distance(text, far));
    }

    proptest! {
        #[test]
        fn ascii_text_is_hashed_as_any_text_is(text in "([ -~]{0,40}|[a-z]{0,99}){0,9}", seed: u64) {
            let mut words = Words::new(seed);
            words.read(&text);
            prop_assert_eq!(simhash(&text, seed), words.pairs.more_than_half());
        }

        #[test]
        fn a_bit_is_set_that_more_than_half_of_the_words_have(words in proptest::collection::vec(any::<u64>(), 0..1800)) {
            let mut counters = Counters::default();
            words.iter().for_each(|word| counters.add(*word));
            let count = |bit: u32| words.iter().filter(|word| *word >> bit & 1 == 1).count();
            let expected = (0..64).filter(|bit| 2 * count(*bit) > words.len()).fold(0, |hash, bit| hash | 1u64 << bit);
            prop_assert_eq!(counters.more_than_half(), expected);
        }
    }

    #[test]
    fn counters_hold_as_many_words_as_an_excerpt_can_have() {
        let mut counters = Counters::default();
        for _ in 0..1800 {
            counters.add(u64::MAX);
        }
        assert_eq!(counters.more_than_half(), u64::MAX);
    }
}

//! SimHash (Charikar, STOC 2002; Manku, Jain and Das Sarma, WWW 2007): texts that share most word pairs share most of
//! 64 bits.

use super::super::hash::mix;

/// Counters for 64 bits at once, each in binary across the planes: bit `i` of plane `p` is worth `2^p` for bit `i`.
/// So many planes hold more words than a normalised excerpt has bytes.
const PLANES: usize = 11;

/// A word longer than this, in characters, is cut: scripts without spaces would be one word otherwise.
const LONGEST: u32 = 12;

/// Hashes normalised text. Who does not know the seed cannot aim at a value.
#[must_use]
pub fn simhash(text: &str, seed: u64) -> u64 {
    // Most text is ASCII, and then each byte is a character.
    if text.is_ascii() {
        let bytes = text.bytes();
        of_characters(
            bytes.map(|byte| Character { code: byte.into(), is_letter: byte.is_ascii_alphanumeric(), is_word: false }),
            seed,
        )
    } else {
        of_characters(text.chars().map(Character::new), seed)
    }
}

/// What counts of a character.
#[derive(Clone, Copy)]
struct Character {
    code: u32,
    is_letter: bool,
    /// It is a word alone.
    is_word: bool,
}

impl Character {
    fn new(character: char) -> Self {
        Self { code: character.into(), is_letter: character.is_alphanumeric(), is_word: is_word_alone(character) }
    }
}

#[inline]
fn of_characters(characters: impl Iterator<Item = Character>, seed: u64) -> u64 {
    const END: Character = Character { code: 0, is_letter: false, is_word: false };
    let mut planes = [0u64; PLANES];
    let mut pairs = 0u32;
    let (mut before, mut word, mut length) = (seed, seed, 0);
    // A chain is walked fastest from inside.
    characters.chain([END]).for_each(|character| {
        if character.is_letter {
            word = word.rotate_left(11) ^ u64::from(character.code);
            length += 1;
        }
        let ends = !character.is_letter || length == LONGEST || character.is_word;
        if ends && length > 0 {
            add(&mut planes, mix(before.rotate_left(1) ^ word));
            pairs += 1;
            (before, word, length) = (word, seed, 0);
        }
    });
    more_than_half(&planes, pairs)
}

/// Characters of scripts that put no spaces between words and whose characters carry meaning alone.
const fn is_word_alone(character: char) -> bool {
    matches!(character, '\u{2e80}'..='\u{a4cf}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}')
}

fn add(planes: &mut [u64; PLANES], bits: u64) {
    let mut carry = bits;
    for plane in planes {
        if carry == 0 {
            break;
        }
        (*plane, carry) = (*plane ^ carry, *plane & carry);
    }
}

/// The bits whose counters are above half of `of`: all 64 are compared at once, from the highest plane down.
fn more_than_half(planes: &[u64; PLANES], of: u32) -> u64 {
    let half = of / 2;
    let (mut above, mut equal) = (0, u64::MAX);
    for (place, plane) in planes.iter().enumerate().rev() {
        if half >> place & 1 == 0 {
            above |= equal & plane;
            equal &= !plane;
        } else {
            equal &= plane;
        }
    }
    above
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
        fn ascii_text_is_hashed_as_any_text_is(text in "[ -~]{0,300}", seed: u64) {
            prop_assert_eq!(simhash(&text, seed), of_characters(text.chars().map(Character::new), seed));
        }

        #[test]
        fn a_bit_is_set_that_more_than_half_of_the_words_have(words in proptest::collection::vec(any::<u64>(), 0..1800)) {
            let mut planes = [0; PLANES];
            words.iter().for_each(|word| add(&mut planes, *word));
            let count = |bit: u32| words.iter().filter(|word| *word >> bit & 1 == 1).count();
            let expected = (0..64).filter(|bit| 2 * count(*bit) > words.len()).fold(0, |hash, bit| hash | 1u64 << bit);
            prop_assert_eq!(more_than_half(&planes, words.len() as u32), expected);
        }
    }

    #[test]
    fn counters_hold_as_many_words_as_an_excerpt_can_have() {
        let text = "a ".repeat(1000);
        assert_eq!(simhash(&text, 7), simhash(&text, 7));
        let mut planes = [0; PLANES];
        for _ in 0..1800 {
            add(&mut planes, u64::MAX);
        }
        assert_eq!(more_than_half(&planes, 1800), u64::MAX);
    }
}

//! How varied a caller's prompts are: distinct topics against distinct templates.

use super::time::Time;
use crate::observe::hash::mix;

/// Two generations are kept, each half a day long.
const GENERATION: u64 = 43_200;

/// The distinct topics and templates of half a day to a day. Merges by union.
///
/// Both are counted by linear counting (Whang, Vander-Zanden and Taylor, ACM TODS 1990) over 64 places. A topic's place
/// is the first six bits of its SimHash, so that near texts fall into one place; a template's is a hash.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Variety {
    topics: [u64; 2],
    templates: [u64; 2],
    generation: u32,
}

impl Variety {
    /// Counts a prompt by its SimHash and its template.
    pub fn add(&mut self, now: Time, simhash: u64, template: u64) {
        let generation = (now.0 / 1_000_000_000 / GENERATION) as u32;
        if generation != self.generation {
            // What is older than the generation before is forgotten; a clock that stepped back forgets all.
            let is_next = generation == self.generation.wrapping_add(1);
            for places in [&mut self.topics, &mut self.templates] {
                *places = [0, if is_next { places[0] } else { 0 }];
            }
            self.generation = generation;
        }
        self.topics[0] |= 1 << (simhash >> 58);
        self.templates[0] |= 1 << (mix(template) >> 58);
    }

    /// Distinct topics, about.
    #[must_use]
    pub fn topics(&self) -> f32 {
        count(self.topics)
    }

    /// Distinct templates, about.
    #[must_use]
    pub fn templates(&self) -> f32 {
        count(self.templates)
    }
}

/// The number of distinct things that leave so many of 64 places empty; at most about 266.
fn count([new, old]: [u64; 2]) -> f32 {
    let empty = (new | old).count_zeros() as f32;
    64.0 * (64.0 / empty.max(1.0)).ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Time = Time(1_700_000_000_000_000_000);

    #[test]
    fn a_template_over_many_topics_shows_as_such() {
        let mut variety = Variety::default();
        for i in 0..100u64 {
            variety.add(START, mix(i), 7);
        }
        assert!(variety.topics() > 50.0, "{variety:?}");
        assert!(variety.templates() < 1.5, "{variety:?}");
    }

    #[test]
    fn what_is_older_than_a_day_is_forgotten() {
        let mut variety = Variety::default();
        variety.add(START, mix(1), 1);
        variety.add(START.plus_seconds(43_200.0), mix(2), 2);
        assert!(variety.templates() > 1.5);
        variety.add(START.plus_seconds(2.0 * 43_200.0), mix(3), 2);
        assert!(variety.templates() < 1.5, "the first is gone");
        variety.add(START, mix(4), 4);
        assert!(variety.topics() < 1.5, "the clock stepped back");
    }
}

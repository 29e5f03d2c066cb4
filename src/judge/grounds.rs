//! Grounds: what of the evidence would stand up if the caller asked for reasons.

use super::features::{Evidence, FEATURES};
use super::model::Contributions;
use super::verdict::Score;

/// Log-odds that a kind of evidence must add to count as grounds: from a prior of 5 % one such kind alone leads to 8 %.
const GROUNDS: f32 = 0.5;

/// Log-odds of its [`Evidence::Association`] that count against a caller when something is done about it and in what is remembered
/// of it. Whoever harvests from an honest customer's network, with its software and options, adds no more than this.
const ASSOCIATION: f32 = 1.0;

/// The evidence of one request, by what it may lead to. In log-odds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Weighed {
    /// What the caller brought upon itself, and a little of what its associates did.
    pub firm: f32,
    /// What its associates did, beyond that: it is told to the origin, and nothing else comes of it.
    pub loose: f32,
    /// How many defensible kinds of evidence speak against the request.
    kinds: usize,
}

impl Weighed {
    /// Weighs what the features contribute.
    #[must_use]
    pub fn new(contributions: &Contributions) -> Self {
        let mut of_kind = [0.0; Evidence::ALL.len()];
        for (feature, contribution) in FEATURES.iter().zip(contributions) {
            if let Some(sum) = of_kind.get_mut(feature.evidence as usize) {
                *sum += contribution;
            }
        }
        let mut weighed = Self::default();
        for (kind, sum) in Evidence::ALL.into_iter().zip(of_kind) {
            let counted = if kind == Evidence::Association { sum.min(ASSOCIATION) } else { sum };
            weighed.firm += counted;
            weighed.loose += sum - counted;
            weighed.kinds += usize::from(kind.is_defensible() && sum >= GROUNDS);
        }
        weighed
    }

    /// How many defensible kinds of evidence speak against the request.
    #[must_use]
    pub const fn kinds(&self) -> usize {
        self.kinds
    }
}

/// The grounds there are for acting against a caller, given the score that firm evidence leads to, the kinds of evidence that speak
/// against the request, and the log-odds of what others saw.
#[must_use]
pub fn grounds(firm: Score, kinds: usize, seen_by_others: f32) -> Grounds {
    Grounds { firm, kinds: kinds + usize::from(seen_by_others >= GROUNDS) }
}

/// The grounds there are for acting against a caller.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Grounds {
    /// The score without loose evidence.
    pub firm: Score,
    /// How many kinds of evidence speak against the request that an analyst could defend, what others saw among them.
    pub kinds: usize,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::features::COUNT;

    /// What the named features weigh together.
    fn weigh(of: &[(&str, f32)]) -> Weighed {
        let mut all = [0.0; COUNT];
        for (name, value) in of {
            let index = FEATURES.iter().position(|feature| feature.name == *name).unwrap();
            all[index] = *value;
        }
        Weighed::new(&all)
    }

    #[test]
    fn kinds_are_counted_that_an_analyst_could_defend() {
        for (of, kinds) in [
            (&[][..], 0),
            (&[("requests_per_minute", 2.0), ("requests_per_hour", 9.0)], 1),
            (&[("requests_per_minute", 2.0), ("side_by_side", 9.0)], 1),
            (&[("contradictions", 9.0), ("disregards_429", 0.4)], 1),
            (&[("requests_per_minute", 2.0), ("disregards_429", 3.0)], 2),
            (&[("requests_per_minute", 2.0), ("shares_template", 3.0)], 2),
            (&[("requests_per_minute", 2.0), ("shares_manner", 9.0), ("shares_network", 9.0)], 1),
        ] {
            assert_eq!(weigh(of).kinds, kinds, "{of:?}");
        }
    }

    #[test]
    fn what_others_saw_is_one_kind_of_evidence() {
        let own = weigh(&[("requests_per_minute", 2.0)]);
        assert_eq!(grounds(Score::new(99.0), own.kinds(), 3.0).kinds, 2);
        assert_eq!(grounds(Score::new(99.0), own.kinds(), 0.4).kinds, 1);
    }

    #[test]
    fn what_associates_did_is_firm_up_to_a_bound() {
        let framed = weigh(&[
            ("no_system_prompt", 2.0),
            ("shares_manner", 7.0),
            ("shares_network", 3.0),
            ("shares_client", 1.0),
        ]);
        assert_eq!((framed.firm, framed.loose), (2.0 + ASSOCIATION, 11.0 - ASSOCIATION));
        let member = weigh(&[("shares_template", 9.0), ("shares_client", 0.5)]);
        assert_eq!((member.firm, member.loose), (9.5, 0.0));
    }
}

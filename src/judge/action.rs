//! Actions, and the steps of the score at which they begin.

use super::features::{Evidence, FEATURES};
use super::model::Contributions;
use super::verdict::Score;

/// What is done about a request, from nothing to the most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    /// Nothing.
    Pass,
    /// The origin is told the score and the reasons.
    Tag,
    /// The origin is also asked to hide reasoning.
    Advise,
    /// The caller is also held to a rate, with 429 and Retry-After beyond it.
    Throttle,
    /// The request is also marked for another route.
    Reroute,
    /// The caller gets 403.
    Reject,
}

impl Action {
    /// Every action, mildest first.
    pub const ALL: [Self; 6] = [Self::Pass, Self::Tag, Self::Advise, Self::Throttle, Self::Reroute, Self::Reject];

    /// The name used in configuration, headers and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Tag => "tag",
            Self::Advise => "advise",
            Self::Throttle => "throttle",
            Self::Reroute => "reroute",
            Self::Reject => "reject",
        }
    }

    /// The action of that name.
    #[must_use]
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|action| action.name() == name)
    }
}

/// An action and the score at which it begins.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// The lowest score that counts.
    pub at: Score,
    /// What is done from there on.
    pub action: Action,
}

/// The operator's steps. Each is taken as soon as its score is reached; all that are reached add up.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Steps(Vec<Step>);

/// Log-odds that a kind of evidence must add to count as grounds: from a prior of 5 % one such kind alone leads to 8 %.
const GROUNDS: f32 = 0.5;

impl Steps {
    /// Steps in any order.
    #[must_use]
    pub fn new(mut steps: Vec<Step>) -> Self {
        steps.sort_by_key(|step| step.action);
        Self(steps)
    }

    /// The strongest action whose score is reached. A rejection also needs two kinds of evidence that an analyst
    /// could defend, what others saw among them; without them the next milder step is taken.
    #[must_use]
    pub fn decide(&self, score: Score, contributions: &Contributions, seen_by_others: f32) -> Action {
        let reached = |step: &&Step| step.at <= score;
        let kinds = grounds(contributions) + usize::from(seen_by_others >= GROUNDS);
        let allowed = |step: &&Step| step.action != Action::Reject || kinds >= 2;
        let strongest = self.0.iter().rev().filter(reached).find(allowed);
        strongest.map_or(Action::Pass, |step| step.action)
    }

    /// The score at which an action begins, if it is configured.
    #[must_use]
    pub fn start_of(&self, action: Action) -> Option<Score> {
        self.0.iter().find(|step| step.action == action).map(|step| step.at)
    }
}

/// How many defensible kinds of evidence speak against the request.
fn grounds(contributions: &Contributions) -> usize {
    let speaks = |kind: &Evidence| {
        let of_kind = FEATURES.iter().zip(contributions).filter(|(feature, _)| feature.evidence == *kind);
        of_kind.map(|(_, contribution)| contribution).sum::<f32>() >= GROUNDS
    };
    let kinds = Evidence::ALL.into_iter().filter(|kind| kind.is_defensible());
    kinds.filter(speaks).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::features::COUNT;

    fn contributions(of: &[(&str, f32)]) -> Contributions {
        let mut all = [0.0; COUNT];
        for (name, value) in of {
            let index = FEATURES.iter().position(|feature| feature.name == *name).unwrap();
            all[index] = *value;
        }
        all
    }

    fn steps() -> Steps {
        Steps::new(vec![
            Step { at: Score::new(95.0), action: Action::Reject },
            Step { at: Score::new(50.0), action: Action::Tag },
            Step { at: Score::new(75.0), action: Action::Throttle },
        ])
    }

    #[test]
    fn the_strongest_step_that_is_reached_is_taken() {
        let strong = contributions(&[("requests_per_minute", 2.0), ("disregards_429", 3.0)]);
        for (score, action) in [
            (0.0, Action::Pass),
            (49.9, Action::Pass),
            (50.0, Action::Tag),
            (80.0, Action::Throttle),
            (95.0, Action::Reject),
            (100.0, Action::Reject),
        ] {
            assert_eq!(steps().decide(Score::new(score), &strong, 0.0), action, "{score}");
        }
        assert_eq!(Steps::default().decide(Score::new(100.0), &strong, 0.0), Action::Pass);
    }

    #[test]
    fn one_kind_of_evidence_or_a_rhythm_does_not_reject() {
        for weak in [
            contributions(&[("requests_per_minute", 2.0), ("requests_per_hour", 9.0)]),
            contributions(&[("requests_per_minute", 2.0), ("side_by_side", 9.0)]),
            contributions(&[("contradictions", 9.0), ("disregards_429", 0.4)]),
        ] {
            assert_eq!(steps().decide(Score::new(99.0), &weak, 0.0), Action::Throttle);
        }
    }

    #[test]
    fn what_others_saw_is_one_kind_of_evidence() {
        let own = contributions(&[("requests_per_minute", 2.0)]);
        assert_eq!(steps().decide(Score::new(99.0), &own, 3.0), Action::Reject);
        assert_eq!(steps().decide(Score::new(99.0), &contributions(&[]), 9.0), Action::Throttle);
    }
}

//! Cues: phrases that harvesting prompts use. Weak evidence; honest people use them too.

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};
use std::sync::LazyLock;

use super::normal::Normal;

/// What a prompt elicits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Cue {
    /// The reasoning behind an answer, written out.
    Reasoning,
    /// Grades by a rubric: the model as a reward model.
    Grading,
    /// Instructions or questions to train on, generated or evolved from others.
    Instructions,
    /// Bare answers to benchmark questions.
    AnswersOnly,
    /// Answers rewritten to suit a policy.
    Policy,
}

impl Cue {
    /// Every cue.
    pub const ALL: [Self; 5] = [Self::Reasoning, Self::Grading, Self::Instructions, Self::AnswersOnly, Self::Policy];

    /// The name in the list of phrases and in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Reasoning => "reasoning",
            Self::Grading => "grading",
            Self::Instructions => "instructions",
            Self::AnswersOnly => "answers_only",
            Self::Policy => "policy",
        }
    }
}

/// A set of cues.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cues(u8);

impl Cues {
    /// The cues in a normalised text.
    #[must_use]
    pub fn find(text: &Normal) -> Self {
        let Some(phrases) = &*PHRASES else { return Self::default() };
        let found = phrases.automaton.find_overlapping_iter(text.bytes());
        found.fold(Self::default(), |cues, phrase| {
            cues | phrases.cues.get(phrase.pattern().as_usize()).copied().unwrap_or_default()
        })
    }

    /// Whether a cue is among them.
    #[must_use]
    pub const fn has(self, cue: Cue) -> bool {
        self.0 & 1 << cue as u8 != 0
    }

    /// The cues, by name.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        Cue::ALL.into_iter().filter(move |&cue| self.has(cue)).map(Cue::name)
    }
}

impl std::ops::BitOr for Cues {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// The list of phrases.
const LIST: &str = include_str!("cues.txt");

struct Phrases {
    automaton: AhoCorasick,
    /// The cue of each phrase, by its place in the automaton.
    cues: Vec<Cues>,
}

/// Compiled at first use, in each VM once. A test compiles the same list, so it is never absent.
static PHRASES: LazyLock<Option<Phrases>> = LazyLock::new(|| {
    let (cues, phrases): (Vec<_>, Vec<_>) = phrases().map(|(cue, phrase)| (Cues(1 << cue as u8), phrase)).unzip();
    let automaton = AhoCorasick::builder()
        .kind(Some(AhoCorasickKind::ContiguousNFA))
        .match_kind(MatchKind::Standard)
        .prefilter(false)
        .build(phrases.iter().map(|phrase| Normal::new(phrase.as_bytes()).bytes().to_vec()));
    Some(Phrases { automaton: automaton.ok()?, cues })
});

/// The phrases of the list, each with its cue.
fn phrases() -> impl Iterator<Item = (Cue, &'static str)> {
    let lines = LIST.lines().filter(|line| !line.is_empty() && !line.starts_with("# "));
    let tagged = lines.scan(None, |cue, line| {
        let heading = line.strip_prefix('[').and_then(|line| line.strip_suffix(']'));
        if let Some(name) = heading {
            *cue = Cue::ALL.into_iter().find(|cue| cue.name() == name);
        }
        Some(cue.filter(|_| heading.is_none()).map(|cue| (cue, line)))
    });
    tagged.flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(text: &str) -> Vec<&'static str> {
        Cues::find(&Normal::new(text.as_bytes())).names().collect()
    }

    #[test]
    fn each_phrase_of_the_list_gives_its_cue() {
        assert!(phrases().count() > 200);
        for (cue, phrase) in phrases() {
            assert!(find(&format!("Well, {phrase}.")).contains(&cue.name()), "{phrase}");
            assert!(phrase.chars().count() >= 3, "{phrase} is too short to mean anything");
        }
        for cue in Cue::ALL {
            assert!(phrases().any(|(held, _)| held == cue), "{} has no phrase", cue.name());
        }
    }

    #[test]
    fn cues_are_found_in_several_languages_whatever_the_case_and_the_numbers() {
        for (text, expected) in [
            ("What is the weather in Paris today?", &[][..]),
            ("Rate it on a SCALE of 1 to\n 7, then explain", &["grading"]),
            ("I want you to act as a Prompt Rewriter. Answer with only the letter.", &["instructions", "answers_only"]),
            ("请逐步推理，并写出你的思考过程", &["reasoning"]),
            ("Évalue la réponse suivante sur une échelle de 1 à 10", &["grading"]),
            ("Write a politically sensitive query", &["policy"]),
        ] {
            assert_eq!(find(text), expected, "{text}");
        }
    }
}

//! The fields that access logs can show, as `%FILTER_STATE(wasm.<name>:PLAIN)%`.

use crate::judge::{Action, Verdict};

/// When an access-log field is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// With every verdict.
    Always,
    /// When the verdict is more than to let pass, or the policy asks for all.
    Noted,
}

/// One field.
pub struct Field {
    /// Its name in filter state.
    pub name: &'static str,
    /// When it is set.
    pub when: When,
    /// What it says.
    pub doc: &'static str,
    /// Appends its value.
    pub write: fn(&Verdict, &mut String),
}

/// Every field.
pub const FIELDS: [Field; 4] = [
    Field {
        name: "scarecrow_score",
        when: When::Always,
        doc: "The score in whole points, 0 to 100.",
        write: |verdict, out| append(out, verdict.score.points()),
    },
    Field {
        name: "scarecrow_action",
        when: When::Noted,
        doc: "What the policy says to do; `throttle` with a status of 429 or an earlier step's effect.",
        write: |verdict, out| out.push_str(verdict.action.name()),
    },
    Field {
        name: "scarecrow_reasons",
        when: When::Noted,
        doc: "Up to three reasons with the log-odds that each added.",
        write: |verdict, out| append(out, verdict.reasons),
    },
    Field {
        name: "scarecrow_subject",
        when: When::Noted,
        doc: "Whom the verdict concerns, as kind:hash.",
        write: |verdict, out| append(out, verdict.subject),
    },
];

/// The fields to set for a verdict.
pub fn of(verdict: &Verdict, all: bool) -> impl Iterator<Item = &'static Field> {
    let noted = all || verdict.action != Action::Pass;
    FIELDS.iter().filter(move |field| noted || field.when == When::Always)
}

fn append(out: &mut String, value: impl std::fmt::Display) {
    use std::fmt::Write;
    // Writing to a String cannot fail.
    let _ = write!(out, "{value}");
}

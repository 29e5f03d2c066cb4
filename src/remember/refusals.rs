//! Refusals: the questions that were refused within the last seconds.

use super::actor::question;
use super::time::Time;
use crate::observe::Conversation;

/// So many refused questions are kept, each in the place that its hash gives it.
const PLACES: usize = 256;
/// Seconds within which a question that was refused is asked again elsewhere. Later the same words are a question of their own.
const FRESH: f64 = 5.0;

/// The questions that this worker refused last, whoever asked. A campaign that tries a refused question with other keys asks nothing new:
/// counted as questions, its tries would make keys look unlike that are dealt to evenly.
pub struct Refusals(Box<[(u32, Time); PLACES]>);

impl Default for Refusals {
    fn default() -> Self {
        Self(Box::new([(0, Time::default()); PLACES]))
    }
}

impl Refusals {
    /// Notes that a question was refused, by a part of its hash.
    pub fn note(&mut self, question: u32, now: Time) {
        if let Some(place) = self.0.get_mut(question as usize % PLACES) {
            *place = (question, now);
        }
    }

    /// Whether a conversation asks what was refused a moment ago.
    #[must_use]
    pub fn has(&self, conversation: &Conversation, now: Time) -> bool {
        let Some(asked) = question(conversation) else { return false };
        let held = self.0.get(asked as usize % PLACES);
        held.is_some_and(|(refused, at)| *refused == asked && at.is_set() && now.seconds_since(*at) < FRESH)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::{Headers, RequestBody, Secret};

    const START: Time = Time(1_700_000_000_000_000_000);

    fn asking(words: &str) -> Conversation {
        let headers = Headers::new([(b":path".as_slice(), b"/v1/chat/completions".as_slice())]);
        let api = crate::observe::dialect::classify(b"POST", b"/v1/chat/completions", &headers, None).unwrap();
        let mut body = RequestBody::new(&headers, api, &Secret::new(b"test"), 1 << 16);
        body.feed(format!(r#"{{"messages":[{{"role":"user","content":"{words}"}}]}}"#).as_bytes());
        body.finish(true)
    }

    #[test]
    fn a_question_that_was_refused_a_moment_ago_is_known_whoever_asks() {
        let (one, other) = (asking("how do tides work?"), asking("how do fridges work?"));
        let mut refusals = Refusals::default();
        refusals.note(question(&one).unwrap(), START);
        assert!(refusals.has(&one, START.plus_seconds(2.0)));
        assert!(!refusals.has(&other, START.plus_seconds(2.0)));
        assert!(!refusals.has(&one, START.plus_seconds(60.0)), "it is a question of its own by then");
    }
}

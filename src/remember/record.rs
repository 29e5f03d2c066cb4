//! What is remembered of one principal.

use super::decay::{Elapsed, Rates};
use super::habits::Habits;
use super::hours::Hours;
use super::intervals::Intervals;
use super::time::Time;
use super::variety::Variety;
use super::waits::Waits;
use crate::observe::{Answer, Conversation};

/// A clock that is this much behind, in seconds, has stepped; less is two workers' requests overtaking each other.
const STEP: f64 = 5.0;

/// One principal's memory: fixed size, no pointers, 256 bytes at most.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Record {
    /// When it was first seen.
    pub first_seen: Time,
    /// When it was last seen. Everything that decays stands at this time.
    pub last_seen: Time,
    /// Its requests.
    pub requests: Rates,
    /// The times between them.
    pub intervals: Intervals,
    /// The hours of day it was seen in.
    pub hours: Hours,
    /// How it takes a 429.
    pub waits: Waits,
    /// Tokens of its prompts, where the answers told.
    pub input: Rates,
    /// Tokens of its answers, told or estimated.
    pub output: Rates,
    /// What its requests do, by share.
    pub habits: Habits,
    /// How varied its prompts are.
    pub variety: Variety,
    /// Log-odds of harvesting above the model's prior, smoothed over its requests; halves in a day.
    pub evidence: f32,
    /// GCRA's theoretical arrival time: when its next request is due at the throttled rate.
    pub next_due: Time,
    /// The order of header names that its first request had; of client profiles.
    pub header_order: u32,
}

const _: () = assert!(size_of::<Record>() <= 256);

impl Record {
    /// Counts a request.
    pub fn request(&mut self, now: Time) {
        let is_first = !self.last_seen.is_set();
        let has_stepped = self.last_seen.seconds_since(now) > STEP;
        if is_first {
            self.first_seen = now;
        } else if has_stepped {
            // What lies ahead of the clock is void; counts stay as they are.
            self.last_seen = now;
            self.first_seen = self.first_seen.min(now);
            self.next_due = self.next_due.min(now);
            self.waits.forget_open_wait();
        }
        let elapsed = Elapsed::new(now.seconds_since(self.last_seen));
        self.requests.add(&elapsed, 1.0);
        if !is_first && !has_stepped {
            self.intervals.add(&elapsed);
            self.waits.add(now, &elapsed);
        }
        self.hours.add(now);
        for tokens in [&mut self.input, &mut self.output] {
            tokens.add(&elapsed, 0.0);
        }
        self.evidence *= elapsed.left_of_day();
        self.last_seen = self.last_seen.max(now);
    }

    /// Notes what a request, counted before, asks.
    pub fn conversation(&mut self, conversation: &Conversation, now: Time) {
        self.habits.add(conversation);
        if let Some(user) = conversation.last_user {
            // A prompt that is too short for a template is its own.
            let template = conversation.template.map_or(user.hash, |template| template.id);
            self.variety.add(now, user.simhash, template);
        }
    }

    /// Notes what the answer to one of its requests told: as of its last request, which is at most the answer's
    /// length ago.
    pub fn answer(&mut self, answer: &Answer) {
        for (rates, tokens) in [(&mut self.input, answer.usage.input), (&mut self.output, answer.usage.output)] {
            rates.add(&Elapsed::new(0.0), tokens.unwrap_or(0) as f32);
        }
    }

    /// Folds one request's log-odds into the evidence: an eighth of the way, so that one odd request never decides
    /// and a habit shows within about ten.
    pub fn weigh(&mut self, log_odds: f32) {
        const SHARE: f32 = 1.0 / 8.0;
        self.evidence += (log_odds - self.evidence) * SHARE;
    }

    /// The evidence as it stands at `now`.
    #[must_use]
    pub fn evidence_at(&self, now: Time) -> f32 {
        self.evidence * Elapsed::new(now.seconds_since(self.last_seen)).left_of_day()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Time = Time(1_700_000_000_000_000_000);

    #[test]
    fn one_odd_request_does_not_decide_and_a_habit_does() {
        let mut record = Record::default();
        record.weigh(8.0);
        assert!(record.evidence <= 1.0);
        for _ in 0..20 {
            record.weigh(8.0);
        }
        assert!(record.evidence > 7.0);
    }

    #[test]
    fn a_clock_that_steps_back_neither_freezes_nor_inflates_a_record() {
        let mut record = Record::default();
        record.request(START.plus_seconds(86_400.0));
        record.next_due = START.plus_seconds(86_500.0);
        for second in 0..100 {
            record.request(START.plus_seconds(f64::from(second) * 6.0));
        }
        assert!(record.requests.per_minute() < 20.0, "{record:?}");
        assert!(record.next_due <= START.plus_seconds(600.0));
        assert_eq!(record.intervals.side_by_side(), 0.0, "{record:?}");
    }

    #[test]
    fn evidence_halves_in_a_day() {
        let mut record = Record { evidence: 4.0, last_seen: START, ..Record::default() };
        let tomorrow = START.plus_seconds(86_400.0);
        assert!((record.evidence_at(tomorrow) - 2.0).abs() < 1e-3);
        record.request(tomorrow);
        assert!((record.evidence - 2.0).abs() < 1e-3);
    }
}

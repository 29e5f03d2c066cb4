//! Actors: who asks.

use super::debt::Debt;
use super::decay::{Daily, Elapsed, Rates};
use super::distinct::Few;
use super::evidence::Suspicion;
use super::hours::Hours;
use super::intervals::Intervals;
use super::merge::Merge;
use super::record::{Record, record};
use super::time::Time;
use super::waits::{Patience, Waits};
use crate::observe::{Answer, Conversation};

record! {
    /// What is remembered of one who asks: a credential, or an account, network or client that asks without one.
    pub struct Actor {
        /// Its requests.
        requests: Rates,
        /// Those that begin a conversation.
        openings: Daily,
        /// The times between them.
        intervals: Intervals,
        /// The hours of day it was seen in.
        hours: Hours,
        /// How it takes a 429.
        waits: Waits,
        /// Tokens of its prompts, where the answers told.
        input: Rates,
        /// Tokens of its answers, told or estimated.
        output: Rates,
        /// Topics that it asks about: by the first bits of the SimHash, so that near texts count as one.
        topics: Few,
        /// Templates that it uses.
        templates: Few,
        /// Networks that it comes from.
        networks: Few,
        /// Client profiles that it comes with.
        clients: Few,
        /// What its requests say together.
        suspicion: Suspicion,
        /// What it has to work off before it may ask again, where it is throttled.
        debt: Debt,
        /// The tools that it offers, by a part of their hash; 0 for none.
        tools: u32,
    }
    stepped: |actor| {
        actor.waits.forget_open_wait();
        actor.debt = Debt::default();
    },
    follow: |_, _| {},
    worth_for: |actor| actor.suspicion.evidence.fades_in()
}

/// How a request lies to those before it. Found once, by who remembers the most, and told to all who count.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Sight {
    /// Seconds since the request before; `None` for the first.
    pub interval: Option<f64>,
    /// How it takes a wait that was asked for.
    pub patience: Patience,
}

impl Actor {
    /// How a request at `now` lies to those remembered.
    #[must_use]
    pub fn sight(&self, now: Time) -> Sight {
        let has_stepped = self.last_seen.seconds_since(now) > super::record::STEP;
        if has_stepped || !self.last_seen.is_set() {
            return Sight::default();
        }
        Sight { interval: Some(now.seconds_since(self.last_seen)), patience: self.waits.patience(now) }
    }

    /// Counts a request. `opens`: no answer came before it, as far as is known.
    pub fn request(&mut self, now: Time, sight: Sight, opens: bool, network: Option<u64>, client: u64) {
        self.stand_at(now);
        self.requests.add(1.0);
        self.openings.add(f32::from(u8::from(opens)));
        if let Some(interval) = sight.interval {
            self.intervals.add(interval);
        }
        self.waits.add(sight.patience);
        self.hours.add(now);
        if let Some(network) = network {
            self.networks.add(now, network);
        }
        self.clients.add(now, client);
    }

    /// Notes what a request, counted before, asks.
    pub fn conversation(&mut self, conversation: &Conversation, now: Time) {
        if let Some(user) = conversation.last_user {
            self.topics.add_near(now, user.simhash);
            // A prompt that is too short for a template is its own.
            self.templates.add(now, conversation.template.map_or(user.hash, |template| template.id));
        }
        if let Some(tools) = conversation.tool_schema {
            self.tools = part_of(tools);
        }
    }

    /// Whether a request offers the very tools that one before it offered.
    #[must_use]
    pub fn has_offered(&self, conversation: &Conversation) -> bool {
        conversation.tool_schema.is_some_and(|tools| self.tools == part_of(tools))
    }

    /// The actor with all that the fleet counted of it, where that is more than what was counted here.
    #[must_use]
    pub fn with_fleet(&self, fleet: &Self) -> Self {
        let mut whole = *self;
        whole.requests.raise(&fleet.requests);
        whole.openings.0 = whole.openings.0.max(fleet.openings.0);
        whole.networks.merge(&fleet.networks);
        whole
    }

    /// Notes what the answer to one of its requests told: as of its last request, which is at most the answer's
    /// length ago.
    pub fn answer(&mut self, answer: &Answer) {
        for (rates, tokens) in [(&mut self.input, answer.usage.input), (&mut self.output, answer.usage.output)] {
            rates.add(tokens.unwrap_or(0) as f32);
        }
    }

    /// Tokens that its prompts and the answers to them have, on average over about a day.
    #[must_use]
    pub fn tokens_per_request(&self) -> (f32, f32) {
        let requests = self.requests.per_day().max(1e-9);
        (self.input.per_day() / requests, self.output.per_day() / requests)
    }
}

/// Half of a hash, never 0.
fn part_of(hash: u64) -> u32 {
    (hash >> 32) as u32 | 1
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Time = Time(1_700_000_000_000_000_000);

    fn request(actor: &mut Actor, now: Time) {
        let sight = actor.sight(now);
        actor.request(now, sight, true, Some(1), 2);
    }

    #[test]
    fn a_clock_that_steps_back_neither_freezes_nor_inflates_a_record() {
        let mut actor = Actor::default();
        request(&mut actor, START.plus_seconds(86_400.0));
        for second in 0..100 {
            request(&mut actor, START.plus_seconds(f64::from(second) * 6.0));
        }
        assert!(actor.requests.per_minute() < 20.0, "{actor:?}");
        assert_eq!(actor.intervals.side_by_side(), 0.0, "{actor:?}");
        assert_eq!(actor.first_seen, START);
    }

    #[test]
    fn tools_are_the_same_from_the_second_time_on() {
        let mut actor = Actor::default();
        let offers = |schema: Option<u64>| Conversation { tool_schema: schema, ..Conversation::default() };
        let mut seen = |schema| {
            let conversation = offers(schema);
            let has_offered = actor.has_offered(&conversation);
            actor.conversation(&conversation, START);
            has_offered
        };
        assert!(![None, Some(1 << 40), Some(2 << 40), None, Some(3 << 40)].map(&mut seen).contains(&true));
        assert!(seen(Some(3 << 40)));
    }

    #[test]
    fn a_template_over_many_topics_shows_as_such() {
        let mut actor = Actor::default();
        for i in 0..100u64 {
            let user = crate::observe::prompt::Prompt { simhash: crate::observe::hash::mix(i), ..Default::default() };
            let template = crate::observe::Kind::Template.with(7);
            let conversation = Conversation { last_user: Some(user), template: Some(template), ..Default::default() };
            actor.conversation(&conversation, START);
        }
        assert!(actor.topics.count() > 50.0, "{actor:?}");
        assert!(actor.templates.count() < 1.5, "{actor:?}");
    }
}

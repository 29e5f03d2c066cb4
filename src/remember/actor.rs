//! Actors: who asks.

use super::backlog::Backlog;
use super::decay::{Daily, Elapsed, Rates};
use super::distinct::Few;
use super::evidence::Suspicion;
use super::hours::Hours;
use super::intervals::Intervals;
use super::merge::Merge;
use super::record::{Record, record};
use super::time::Time;
use super::waits::{Patience, Waits};
use crate::observe::{Answer, Conversation, Link};

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
        /// Answers that it got: a request that was refused says nothing of how long they are.
        answers: Daily,
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
        backlog: Backlog,
        /// The tools that it offers, by a part of their hash; 0 for none.
        tools: u32,
        /// What it asked last, and what of that was refused last.
        asked: Asked,
        /// The suspected cluster that it was held with last.
        held_with: HeldWith,
    }
    stepped: |actor| {
        actor.waits.forget_open_wait();
        actor.backlog = Backlog::default();
    },
    follow: |_, _| {},
    worth_for: |actor| actor.suspicion.evidence.fades_in()
}

/// What a caller asked last, and what of that was refused last, each by a part of the prompt's hash; 0 for nothing. Of two that merge
/// either serves: it tells retries from new questions, and a retry that is taken for a question counts as one more.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Asked {
    pub(super) last: u32,
    pub(super) refused: u32,
}

impl Merge for Asked {
    fn age(&mut self, _: &Elapsed) {}

    fn merge(&mut self, other: &Self) {
        self.last = self.last.max(other.last);
        self.refused = self.refused.max(other.refused);
    }
}

/// The group that a caller was held with last, as it was the most specific of its suspected clusters: by its place among
/// [`Link::BY_SPECIFICITY`] and its hash; 0 for none. Of two that merge either serves.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct HeldWith {
    /// The link of the group, by its place among [`Link::BY_SPECIFICITY`].
    pub link: u8,
    /// Its hash.
    pub group: u64,
}

impl HeldWith {
    /// A group by what its members share.
    #[must_use]
    pub fn new(link: Link, group: u64) -> Self {
        let place = Link::BY_SPECIFICITY.iter().position(|other| *other == link);
        place.map_or_else(Self::default, |place| Self { link: place as u8, group })
    }

    /// The link and the hash of the group; `None` if there is no such group.
    #[must_use]
    pub fn group(&self) -> Option<(Link, u64)> {
        let link = Link::BY_SPECIFICITY.get(self.link as usize)?;
        (self.group != 0).then_some((*link, self.group))
    }
}

impl Merge for HeldWith {
    fn age(&mut self, _: &Elapsed) {}

    fn merge(&mut self, other: &Self) {
        if other.group != 0 {
            *self = *other;
        }
    }
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

    /// Whether a request asks again what was refused last.
    #[must_use]
    pub fn is_retry(&self, conversation: &Conversation) -> bool {
        question(conversation).is_some_and(|asked| asked == self.asked.refused)
    }

    /// Whether what it asked last was refused, if only at first.
    #[must_use]
    pub const fn is_waiting(&self) -> bool {
        self.asked.refused != 0 && self.asked.last == self.asked.refused
    }

    /// Notes that its last request was refused.
    pub fn refuse(&mut self) {
        self.asked.refused = self.asked.last;
    }

    /// A part of the hash of the question that was refused last; 0 for none.
    #[must_use]
    pub fn question_refused(&self) -> u32 {
        self.asked.refused
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
            self.asked.last = part_of(user.hash);
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
        self.answers.add(1.0);
        for (rates, tokens) in [(&mut self.input, answer.usage.input), (&mut self.output, answer.usage.output)] {
            rates.add(tokens.unwrap_or(0) as f32);
        }
    }

    /// Tokens that its prompts and the answers to them have, on average over about a day; `None` before its first answer.
    #[must_use]
    pub fn tokens_per_answer(&self) -> Option<(f32, f32)> {
        let answers = self.answers.per_day();
        (answers > 0.0).then(|| (self.input.per_day() / answers, self.output.per_day() / answers))
    }
}

/// A part of the hash of what a conversation asks.
#[must_use]
pub fn question(conversation: &Conversation) -> Option<u32> {
    conversation.last_user.map(|user| part_of(user.hash))
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

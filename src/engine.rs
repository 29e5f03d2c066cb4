//! The engine: remember, judge and throttle, in one step per request. Knows no host and reads no clock.
#![forbid(unsafe_code)]

use ahash::RandomState;

use crate::config::{Exemption, Policy};
use crate::judge::{Action, Facts, Reasons, Score, Verdict};
use crate::observe::{Observation, Operation, Principal};
use crate::remember::{Table, TableEvents, Time};

/// One worker's engine: its memory, and how a request changes it.
pub struct Engine {
    memory: Table,
}

/// What came of a request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Outcome {
    /// The path is no known API's: let through.
    OtherPath,
    /// Nothing to learn from the answer: let through.
    Auxiliary,
    /// The policy exempts it: let through.
    Exempt(Exemption),
    /// It was judged.
    Judged(Verdict),
}

impl Engine {
    /// An engine that remembers that many principals. `hasher` places them in memory: random in production, so that
    /// nobody can aim at a place; fixed where a run must repeat exactly.
    #[must_use]
    pub fn new(principals: usize, hasher: RandomState) -> Self {
        Self { memory: Table::new(principals, hasher) }
    }

    /// Remembers one request and judges it.
    pub fn request(&mut self, observation: &Observation, policy: &Policy, now: Time) -> Outcome {
        match observation.api {
            None => return Outcome::OtherPath,
            Some(api) if api.operation == Operation::Auxiliary => return Outcome::Auxiliary,
            Some(_) => {}
        }
        if let Some(exemption) = policy.exempt.covers(observation) {
            return Outcome::Exempt(exemption);
        }
        let header_order_changed = self.remember_others(observation, now);

        let subject = observation.subject();
        let record = self.memory.entry(subject, now);
        record.request(now);
        let facts = Facts { observation, subject: record, header_order_changed, now };
        let contributions = policy.model.contributions(&facts);
        record.weigh(contributions.iter().sum());

        let score = Score::new(100.0 * policy.model.probability(record.evidence));
        let action = policy.steps.decide(score, &contributions);
        let wait = policy
            .steps
            .start_of(Action::Throttle)
            .filter(|start| *start <= score)
            .and_then(|start| policy.throttle.admit(&mut record.next_due, now, score, start));
        let reasons = Reasons::of(&contributions);
        Outcome::Judged(Verdict { subject, score, action, reasons, wait })
    }

    /// Notes the request with the principals that are not its subject. Returns whether the client profile was seen
    /// before with its headers in another order.
    fn remember_others(&mut self, observation: &Observation, now: Time) -> bool {
        let subject = observation.subject();
        for principal in [observation.account, observation.network].into_iter().flatten() {
            if principal != subject {
                self.memory.entry(principal, now).request(now);
            }
        }
        let client = self.memory.entry(observation.client_principal, now);
        if observation.client_principal != subject {
            client.request(now);
        }
        if client.header_order == 0 {
            client.header_order = observation.order;
        }
        client.header_order != observation.order
    }

    /// Notes that a request of this subject was answered 429 and told to wait for so many seconds, by the filter or
    /// by the origin.
    pub fn asked_to_wait(&mut self, subject: Principal, seconds: f64, now: Time) {
        self.memory.entry(subject, now).waits.ask(now, seconds);
    }

    /// What is remembered, for reports.
    #[must_use]
    pub fn memory(&self) -> &Table {
        &self.memory
    }

    /// What happened in memory since the last call.
    pub fn take_table_events(&mut self) -> TableEvents {
        self.memory.take_events()
    }
}

//! The engine: remember, judge and throttle, in one step per request. Knows no host and reads no clock.
#![forbid(unsafe_code)]

use ahash::RandomState;

use crate::config::{Exemption, Policy};
use crate::judge::{Action, Contributions, Facts, Reasons, Score, Verdict};
use crate::observe::{Answer, Conversation, Observation, Operation, Principal};
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

/// What comes of a request that is not judged; `None` for those that are. Its body need not be known.
#[must_use]
pub fn screen(observation: &Observation, policy: &Policy) -> Option<Outcome> {
    match observation.api {
        None => Some(Outcome::OtherPath),
        Some(api) if api.operation == Operation::Auxiliary => Some(Outcome::Auxiliary),
        Some(_) => policy.exempt.covers(observation).map(Outcome::Exempt),
    }
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
        if let Some(outcome) = screen(observation, policy) {
            return outcome;
        }
        let header_order_changed = self.remember_others(observation, now);

        let subject = observation.subject();
        let record = self.memory.entry(subject, now);
        record.request(now);
        if let Some(conversation) = &observation.conversation {
            record.conversation(conversation, now);
        }
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

    /// What each feature added to a verdict that was just given, for reports.
    #[must_use]
    pub fn contributions(&self, observation: &Observation, policy: &Policy, now: Time) -> Option<Contributions> {
        let subject = self.memory.get(observation.subject())?;
        let client = self.memory.get(observation.client_principal);
        let header_order_changed = client.is_some_and(|client| client.header_order != observation.order);
        Some(policy.model.contributions(&Facts { observation, subject, header_order_changed, now }))
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

    /// Notes what a request of this subject asked that was judged before its body came.
    pub fn conversation(&mut self, subject: Principal, conversation: &Conversation, now: Time) {
        self.memory.entry(subject, now).conversation(conversation, now);
    }

    /// Notes what the answer to a request of this subject told.
    pub fn response(&mut self, subject: Principal, answer: &Answer, now: Time) {
        self.memory.entry(subject, now).answer(answer);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::{Connection, Headers, Secret};

    const START: Time = Time(1_700_000_000_000_000_000);

    /// A policy, an engine, and requests in OpenAI's dialect.
    struct Bench {
        engine: Engine,
        policy: Policy,
    }

    impl Bench {
        fn new(policy: &str) -> Self {
            let policy = Policy::parse(policy, &Secret::new(b"test")).unwrap();
            Self { engine: Engine::new(1024, RandomState::with_seeds(1, 2, 3, 4)), policy }
        }

        fn observe(&self, path: &str, headers: &[(&str, &str)]) -> Observation {
            let all = [(":method", "POST"), (":path", path)].into_iter().chain(headers.iter().copied());
            let headers = Headers::new(all.map(|(name, value)| (name.as_bytes(), value.as_bytes())));
            let connection = Connection { address: Some(b"192.0.2.7"), ..Connection::default() };
            Observation::new(&headers, &connection, &self.policy.lens)
        }

        fn send(&mut self, key: &str, at: f64) -> Verdict {
            let observation = self.observe("/v1/chat/completions", &[("authorization", key), ("user-agent", "acme/1")]);
            match self.engine.request(&observation, &self.policy, START.plus_seconds(at)) {
                Outcome::Judged(verdict) => verdict,
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn a_stranger_passes() {
        let verdict = Bench::new("").send("Bearer a", 0.0);
        assert_eq!(verdict.action, Action::Pass);
        assert!(verdict.score.value() < 10.0, "{verdict:?}");
    }

    #[test]
    fn a_flood_of_one_key_is_noted_and_its_neighbour_is_not() {
        let mut bench = Bench::new("");
        let last = (0..1000).map(|i| bench.send("Bearer busy", f64::from(i) * 0.02)).last().unwrap();
        assert!(last.action >= Action::Tag, "{last:?}");
        assert_eq!(bench.send("Bearer calm", 20.0).action, Action::Pass);
    }

    #[test]
    fn volume_and_rhythm_alone_never_throttle_by_default() {
        let mut bench = Bench::new("");
        // A hundred requests a second for a quarter of an hour, as a busy service sends them.
        for i in 0..90_000 {
            let verdict = bench.send("Bearer service", f64::from(i) * 0.01);
            assert!(verdict.action < Action::Throttle, "{verdict:?}");
        }
    }

    #[test]
    fn who_disregards_waits_is_suspected_more_than_who_keeps_them() {
        let mut bench = Bench::new("");
        let mut score = |key: &str, pause: f64| {
            let mut now = 0.0;
            for _ in 0..40 {
                let verdict = bench.send(key, now);
                bench.engine.asked_to_wait(verdict.subject, 5.0, START.plus_seconds(now));
                now += pause;
            }
            bench.send(key, now).score
        };
        let (patient, impatient) = (score("Bearer patient", 6.0), score("Bearer impatient", 1.0));
        assert!(impatient.value() > patient.value() + 10.0, "{impatient:?} {patient:?}");
    }

    #[test]
    fn calls_that_yield_nothing_and_other_paths_are_not_judged() {
        let mut bench = Bench::new("");
        for (path, expected) in [("/v1/messages/count_tokens", Outcome::Auxiliary), ("/health", Outcome::OtherPath)] {
            let observation = bench.observe(path, &[]);
            assert_eq!(bench.engine.request(&observation, &bench.policy, START), expected);
        }
        assert!(bench.engine.memory().is_empty());
    }

    #[test]
    fn the_same_profile_in_another_order_is_noticed() {
        let mut bench = Bench::new("");
        let reasons = |bench: &mut Bench, headers: &[(&str, &str)]| {
            let observation = bench.observe("/v1/messages", headers);
            match bench.engine.request(&observation, &bench.policy, START) {
                Outcome::Judged(verdict) => verdict.reasons.to_string(),
                other => panic!("{other:?}"),
            }
        };
        let (accept, agent) = (("accept", "*/*"), ("user-agent", "acme/1"));
        assert_eq!(reasons(&mut bench, &[accept, agent]), "");
        assert_eq!(reasons(&mut bench, &[accept, agent]), "side_by_side=0.2");
        assert!(reasons(&mut bench, &[agent, accept]).contains("header_order="));
    }

    #[test]
    fn a_clock_that_steps_back_throttles_nobody_for_long() {
        let mut bench = Bench::new(r#"{"actions":[{"at":0,"do":"throttle"}],"throttle":{"burst":1}}"#);
        bench.send("Bearer a", 86_400.0);
        bench.send("Bearer a", 86_400.1);
        assert_eq!(bench.send("Bearer a", 0.0).wait, None);
    }
}

//! The feature table: everything that may speak for or against a request, by name.
//!
//! Adding a feature is one entry here and one weight in `model.json`.

use crate::observe::{Family, Observation};
use crate::remember::{Record, Time};

/// What a feature may look at.
#[derive(Clone, Copy)]
pub struct Facts<'a> {
    /// The request.
    pub observation: &'a Observation,
    /// What is remembered of its subject, this request included.
    pub subject: &'a Record,
    /// The client profile was seen before, with its header names in another order.
    pub header_order_changed: bool,
    /// When the request came.
    pub now: Time,
}

/// The kind of evidence a feature gives. To reject takes two kinds that can be defended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Evidence {
    /// How much is asked for.
    Volume,
    /// How the requests lie in time. Common among honest clients: never grounds for rejecting.
    Rhythm,
    /// What the client is and pretends to be.
    Client,
    /// How it takes an answer.
    Conduct,
}

impl Evidence {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Volume, Self::Rhythm, Self::Client, Self::Conduct];

    /// Whether an analyst could defend a rejection with it.
    #[must_use]
    pub const fn is_defensible(self) -> bool {
        !matches!(self, Self::Rhythm)
    }

    /// The name used in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Volume => "volume",
            Self::Rhythm => "rhythm",
            Self::Client => "client",
            Self::Conduct => "conduct",
        }
    }
}

/// One feature.
pub struct Feature {
    /// The name in the model, in reasons and in reports.
    pub name: &'static str,
    /// The kind of evidence.
    pub evidence: Evidence,
    /// What it reads and why that tells something.
    pub doc: &'static str,
    /// Its value, 0 to 1.
    pub read: fn(&Facts<'_>) -> f32,
}

/// Where `value` lies between two values on a logarithmic scale, 0 to 1.
fn log_scale(value: f32, from: f32, to: f32) -> f32 {
    if value <= from { 0.0 } else { ((value / from).ln() / (to / from).ln()).min(1.0) }
}

/// 1 if it holds, else 0.
fn flag(holds: bool) -> f32 {
    f32::from(u8::from(holds))
}

/// How many features there are.
pub const COUNT: usize = 12;

/// Every feature. Names never change their meaning: a changed feature gets a new name.
pub const FEATURES: [Feature; COUNT] = [
    Feature {
        name: "requests_per_minute",
        evidence: Evidence::Volume,
        doc: "Requests of about the last minute: 6 give 0, 600 give 1, by ratio in between.",
        read: |f| log_scale(f.subject.requests.per_minute(), 6.0, 600.0),
    },
    Feature {
        name: "requests_per_hour",
        evidence: Evidence::Volume,
        doc: "Requests of about the last hour: 60 give 0, 6,000 give 1, by ratio in between.",
        read: |f| log_scale(f.subject.requests.per_hour(), 60.0, 6_000.0),
    },
    Feature {
        name: "requests_per_day",
        evidence: Evidence::Volume,
        doc: "Requests of about the last day: 500 give 0, 50,000 give 1, by ratio in between.",
        read: |f| log_scale(f.subject.requests.per_day(), 500.0, 50_000.0),
    },
    Feature {
        name: "side_by_side",
        evidence: Evidence::Rhythm,
        doc: "Share of requests within 0.1 s of the one before: the worker pool of a pipeline. Honest batch jobs and busy services do it too.",
        read: |f| f.subject.intervals.side_by_side(),
    },
    Feature {
        name: "regular_intervals",
        evidence: Evidence::Rhythm,
        doc: "Intervals that vary little (coefficient of variation under 0.5): a timer, not a person. Weak: cron jobs are regular, pipelines are not.",
        read: |f| f.subject.intervals.variation().map_or(0.0, |cv| (1.0 - cv / 0.5).max(0.0)),
    },
    Feature {
        name: "round_the_clock",
        evidence: Evidence::Rhythm,
        doc: "Hours of the last 24 with a request: 16 give 0, 24 give 1. Weak: a fifth of honest clients never sleep.",
        read: |f| ((f.subject.hours.count(f.now) as f32 - 16.0) / 8.0).max(0.0),
    },
    Feature {
        name: "contradictions",
        evidence: Evidence::Client,
        doc: "Ways in which the request contradicts itself: one gives 0.6, two or more give 1.",
        read: |f| match f.observation.contradictions.count() {
            0 => 0.0,
            1 => 0.6,
            _ => 1.0,
        },
    },
    Feature {
        name: "http_library",
        evidence: Evidence::Client,
        doc: "An HTTP library under its default name, or no User-Agent at all, where most software names itself or uses an SDK.",
        read: |f| flag(matches!(f.observation.client.family, Family::HttpLibrary | Family::Absent)),
    },
    Feature {
        name: "asynchronous",
        evidence: Evidence::Rhythm,
        doc: "The SDK says that it runs on an event loop. Weak: most servers do, pipelines nearly always.",
        read: |f| flag(f.observation.client.asynchronous),
    },
    Feature {
        name: "header_order",
        evidence: Evidence::Client,
        doc: "The same client profile was seen with its header names in another order: an emulation, or a proxy in between.",
        read: |f| flag(f.header_order_changed),
    },
    Feature {
        name: "retry_without_cause",
        evidence: Evidence::Client,
        doc: "The SDK says that it retries two times or more, and nobody asked this caller to wait: a header copied from elsewhere, or an origin that fails.",
        read: |f| flag(f.observation.client.retries >= 2 && !f.subject.waits.any()),
    },
    Feature {
        name: "disregards_429",
        evidence: Evidence::Conduct,
        doc: "Share of requests that came while the caller had been asked to wait. Measured: pipelines 0.8 to 0.9, sequential SDKs 0.2.",
        read: |f| f.subject.waits.disregard(),
    },
];

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_are_unique() {
        let mut names: Vec<_> = FEATURES.iter().map(|feature| feature.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), COUNT);
    }

    proptest! {
        #[test]
        fn a_log_scale_rises_from_0_to_1(value in 0.0f32..1e9) {
            let at = log_scale(value, 6.0, 600.0);
            prop_assert!((0.0..=1.0).contains(&at));
            prop_assert!(log_scale(value + 1.0, 6.0, 600.0) >= at);
        }
    }
}

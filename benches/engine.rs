//! What one request costs the engine, natively: reading headers, and remembering and judging.
#![allow(missing_docs, clippy::unwrap_used)]

use ahash::RandomState;
use criterion::{Criterion, criterion_group, criterion_main};
use scarecrow::Engine;
use scarecrow::config::Policy;
use scarecrow::observe::hash::mix;
use scarecrow::observe::{Connection, Headers, Kind, Observation, Secret};
use scarecrow::remember::Time;
use scarecrow::share::journal::{Edition, Journal, Store};
use std::hint::black_box;

const HEADERS: [(&str, &str); 17] = [
    (":authority", "api.example.com"),
    (":path", "/v1/chat/completions"),
    (":method", "POST"),
    (":scheme", "https"),
    ("user-agent", "OpenAI/Python 3.54.0"),
    ("accept", "application/json"),
    ("accept-encoding", "gzip, deflate"),
    ("authorization", "Bearer sk-proj-0123456789abcdef0123456789abcdef0123456789abcdef"),
    ("content-type", "application/json"),
    ("x-stainless-lang", "python"),
    ("x-stainless-package-version", "3.54.0"),
    ("x-stainless-os", "Linux"),
    ("x-stainless-arch", "x64"),
    ("x-stainless-runtime", "CPython"),
    ("x-stainless-runtime-version", "3.11.7"),
    ("x-stainless-async", "false"),
    ("x-stainless-retry-count", "0"),
];

fn pairs() -> impl Iterator<Item = (&'static [u8], &'static [u8])> {
    HEADERS.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes()))
}

fn engine(criterion: &mut Criterion) {
    let policy = Policy::parse("", &Secret::new(b"a secret for the benchmark")).unwrap();
    let connection = Connection {
        address: Some(b"192.0.2.7"),
        ja4: Some(b"t13d1812h1_85036bcba153_d41ae481755e"),
        ..Connection::default()
    };
    criterion.bench_function("headers", |bencher| {
        bencher.iter(|| Headers::new(black_box(pairs())).set());
    });
    let headers = Headers::new(pairs());
    criterion.bench_function("observe", |bencher| {
        bencher.iter(|| Observation::new(black_box(&headers), &connection, &policy.lens));
    });
    let observation = Observation::new(&headers, &connection, &policy.lens);
    let mut engine = Engine::new(65_536, RandomState::new());
    let mut now = Time(1_700_000_000_000_000_000);
    criterion.bench_function("remember and judge", |bencher| {
        bencher.iter(|| {
            now = now.plus_seconds(1.0);
            engine.request(black_box(&observation), &policy, now)
        });
    });
}

/// Shared data with nobody else, which takes and forgets.
struct Nobody;

impl Store for Nobody {
    fn get(&self, _: &str) -> Option<(Vec<u8>, Edition)> {
        Some((Vec::new(), Edition(1)))
    }

    fn set(&self, _: &str, _: &[u8]) {}

    fn replace(&self, _: &str, _: &[u8], _: Edition) -> bool {
        true
    }
}

/// What telling other workers costs: on each request, and on each exchange with tables that are full.
fn exchange(criterion: &mut Criterion) {
    let policy = Policy::parse("", &Secret::new(b"a secret for the benchmark")).unwrap();
    let headers = Headers::new(pairs());
    let mut observation = Observation::new(&headers, &Connection::default(), &policy.lens);
    let mut engine = Engine::new(65_536, RandomState::new());
    let start = Time(1_700_000_000_000_000_000);
    for number in 0..300_000 {
        observation.credential = Some(Kind::Credential.with(mix(number)));
        observation.network = Some(Kind::Network.with(mix(!number)));
        engine.request(&observation, &policy, start.plus_seconds(number as f64 / 10.0));
    }
    let mut now = start.plus_seconds(40_000.0);
    let mut journal = Journal::join(&Nobody, 1, engine.memory_mut(), now).unwrap();
    criterion.bench_function("remember, judge and keep for others", |bencher| {
        bencher.iter(|| {
            now = now.plus_seconds(1.0);
            engine.request(black_box(&observation), &policy, now)
        });
    });
    criterion.bench_function("exchange: a slice of full tables", |bencher| {
        bencher.iter(|| {
            now = now.plus_seconds(1.0);
            journal.exchange(&Nobody, engine.memory_mut(), 0.25, now)
        });
    });
}

criterion_group!(benches, engine, exchange);
criterion_main!(benches);

//! What one request costs the engine, natively: reading headers, and remembering and judging.
#![allow(missing_docs, clippy::unwrap_used)]

use ahash::RandomState;
use criterion::{Criterion, criterion_group, criterion_main};
use scarecrow::Engine;
use scarecrow::config::Policy;
use scarecrow::observe::{Connection, Headers, Observation, Secret};
use scarecrow::remember::Time;
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

criterion_group!(benches, engine);
criterion_main!(benches);

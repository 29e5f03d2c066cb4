//! Scanning a chat body of 64 KiB, beside what serde_json takes to read it into a value.
#![allow(missing_docs, clippy::unwrap_used)]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use scarecrow::observe::json::{Container, Literal, Scanner, Sink};
use serde_json::{Value, json};
use std::hint::black_box;

/// Looks at everything and keeps a length, as the least that a reader of prompts does.
#[derive(Default)]
struct Lengths {
    text: usize,
    others: usize,
}

impl Sink for Lengths {
    fn open(&mut self, _: Container) {
        self.others += 1;
    }

    fn close(&mut self, _: Container) {
        self.others += 1;
    }

    fn key(&mut self, part: &[u8], _: bool) {
        self.others += part.len();
    }

    fn text(&mut self, part: &[u8], _: bool) {
        self.text += part.len();
    }

    fn number(&mut self, part: &[u8], _: bool) {
        self.others += part.len();
    }

    fn literal(&mut self, _: Literal) {
        self.others += 1;
    }
}

/// A conversation as SDKs send it: paragraphs with line breaks, quotes and some characters beyond ASCII.
fn body() -> String {
    const PARAGRAPH: &str = "Explain how TCP's slow start \"probes\" the path, step by step.\nFirst, the sender's window \
        doubles with each round trip; then – once a segment is lost – it halves. What would a café's router do?\n\n";
    let turn = |index: usize| {
        let role = if index.is_multiple_of(2) { "user" } else { "assistant" };
        json!({"role": role, "content": PARAGRAPH.repeat(8)})
    };
    let mut messages = vec![json!({"role": "system", "content": "You are a helpful assistant."})];
    let mut index = 0;
    loop {
        let text =
            json!({"model": "gpt-4o-mini", "messages": &messages, "temperature": 0.7, "max_tokens": 1024}).to_string();
        if text.len() >= 65_536 {
            return text;
        }
        messages.push(turn(index));
        index += 1;
    }
}

fn scanning(criterion: &mut Criterion) {
    let body = body();
    let mut group = criterion.benchmark_group("64 KiB chat body");
    group.throughput(Throughput::Bytes(body.len() as u64));
    group.bench_function("scanner", |bencher| {
        bencher.iter(|| {
            let mut lengths = Lengths::default();
            let mut scanner = Scanner::default();
            scanner.feed(black_box(body.as_bytes()), &mut lengths).unwrap();
            scanner.finish(&mut lengths).unwrap();
            lengths.text + lengths.others
        });
    });
    group.bench_function("serde_json value", |bencher| {
        bencher.iter(|| serde_json::from_slice::<Value>(black_box(body.as_bytes())).unwrap());
    });
    group.finish();
}

criterion_group!(benches, scanning);
criterion_main!(benches);

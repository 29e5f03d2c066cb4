//! Any configuration is compiled or refused, in words; what is compiled judges requests. As JSON text, and as the struct and the route's
//! metadata in which Envoy hands it over.
#![no_main]

use libfuzzer_sys::fuzz_target;
use scarecrow::config::{Policy, policy};
use scarecrow::engine::Engine;
use scarecrow::observe::{Connection, Headers, Observation, Secret};
use scarecrow::proxy::wire;
use scarecrow::remember::Time;
use serde_json::Value;

const HEADERS: [(&[u8], &[u8]); 4] = [
    (b":method", b"POST"),
    (b":path", b"/v1/chat/completions"),
    (b"user-agent", b"curl"),
    (b"authorization", b"Bearer sk-1"),
];

fn judge(policy: &Policy) {
    let connection = Connection { address: Some(b"192.0.2.7"), ..Connection::default() };
    let observation = Observation::new(&Headers::new(HEADERS), &connection, &policy.lens);
    let mut engine = Engine::new(64, ahash::RandomState::with_seeds(1, 2, 3, 4));
    for second in 0..3 {
        engine.request(&observation, policy, Time(1_000_000_000 * (1_000_000 + second)));
    }
}

fn check(base: &Value, secret: &Secret) {
    match Policy::new(base, secret) {
        Ok(policy) => judge(&policy),
        Err(problems) => assert!(!problems.to_string().is_empty()),
    }
}

fuzz_target!(|input: &[u8]| {
    let secret = Secret::new(b"a secret for fuzzing");
    if let Ok(base) = policy::read(&String::from_utf8_lossy(input)) {
        check(&base, &secret);
        // A route may say what it likes, too.
        let _ = Policy::for_route(&serde_json::json!({"mode": "enforce"}), &base, &secret).map(|policy| judge(&policy));
    }
    if let Some(base) = wire::read_struct(input) {
        check(&base, &secret);
    }
    let _ = wire::read_metadata(input, "scarecrow");
    let _ = wire::pairs(input).count();
});

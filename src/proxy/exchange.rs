//! One request and its response.

use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::Action;
use std::rc::Rc;

use super::plugin::Plugin;
use super::raw::{self, Map};
use super::wire;
use super::worker::{Histogram, Worker};
use crate::act::{self, Plan, Reply, tag};
use crate::config::{Exemption, Policy};
use crate::engine::Outcome;
use crate::judge::Verdict;
use crate::observe::{Connection, Headers, Observation, Principal, dialect, name};
use crate::remember::Time;
use crate::share::fields;
use crate::share::metrics::Count;

/// What Envoy's `set_filter_state` filter writes for us: `address=… ja4=… route=…`, where the route's metadata as JSON
/// comes last because it may hold spaces. One read brings all three; without it address and metadata are asked for one
/// by one, which costs more, and JA4 is not known.
const CONNECTION: &[u8] = b"filter_state\0scarecrow.connection";
const ADDRESS: &[u8] = b"source\0address";
const ROUTE_NAME: &[u8] = b"xds\0route_name";

/// No origin's Retry-After is taken to mean more than this many seconds.
const LONGEST_WAIT: f64 = 3600.0;

/// The context of one request.
pub struct Exchange {
    plugin: Rc<Plugin>,
    state: State,
}

/// How far the exchange has come, as far as its response is concerned.
enum State {
    /// Nothing to be done about the response.
    Idle,
    /// Judged and sent on to the origin; `tagged` if it carries our headers.
    SentOn { subject: Principal, tagged: bool },
}

impl Exchange {
    /// A context under this plugin's policy.
    pub fn new(plugin: Rc<Plugin>) -> Self {
        Self { plugin, state: State::Idle }
    }

    fn request(&mut self, bodyless: bool) -> Action {
        let now = raw::now();
        let map = raw::headers(Map::Request).unwrap_or_default();
        let headers = Headers::new(wire::pairs(&map));
        #[cfg(feature = "fault-injection")]
        #[allow(clippy::panic, reason = "this is the fault")]
        if headers.find("x-scarecrow-fault") == Some(b"panic") {
            panic!("a fault was asked for");
        }
        let written = raw::property(CONNECTION);
        let written = written.as_deref().map(Written::parse);
        let (policy, is_valid) = match self.plugin.policy_of_route(written.and_then(|written| written.route)) {
            Ok(policy) => (policy, true),
            Err(policy) => (policy, false),
        };
        let observation = observe(&headers, written, &policy, bodyless);
        let (outcome, started) = Worker::with(&policy, |worker| {
            let started = worker.is_timed(policy.time_one_in).then_some(now);
            worker.counts.add(Count::Requests);
            if !is_valid {
                worker.counts.add(Count::BadRoutePolicies);
            }
            if let Some(reason) = observation.bad_body {
                worker.counts.add(Count::of_bad_body(reason));
            }
            let outcome = worker.engine.request(&observation, &policy, now);
            worker.counts.add(count_of(&outcome));
            if let Outcome::Judged(verdict) = &outcome {
                worker.note_score(verdict.score);
            }
            worker.report_if_due(now);
            (outcome, started)
        });
        if headers.has_ours() {
            remove_ours(&map, &policy);
        }
        let action = match outcome {
            Outcome::Judged(verdict) => self.carry_out(&verdict, &observation, &policy, now),
            _ => Action::Continue,
        };
        if let Some(started) = started {
            let spent = raw::now().0.saturating_sub(started.0);
            Worker::with(&policy, |worker| worker.record(Histogram::Time, spent));
        }
        action
    }

    fn carry_out(&mut self, verdict: &Verdict, observation: &Observation, policy: &Policy, now: Time) -> Action {
        let mut text = String::new();
        for field in fields::of(verdict, policy.log_all) {
            text.clear();
            (field.write)(verdict, &mut text);
            raw::set_property(field.name, text.as_bytes());
        }
        let dialect = observation.api.map_or_else(dialect::fallback, |api| api.dialect);
        let Plan { headers, reply } = act::plan(verdict, dialect, policy);
        if let Some(reply) = reply {
            return answer(&reply, verdict, policy, now);
        }
        for (name, value) in &headers {
            raw::set_header(Map::Request, name, value);
        }
        self.state = State::SentOn { subject: verdict.subject, tagged: !headers.is_empty() };
        Action::Continue
    }

    fn response(&self) {
        let State::SentOn { subject, tagged } = self.state else { return };
        if tagged {
            for name in tag::ALL {
                raw::remove_header(Map::Response, name.as_bytes());
            }
        }
        // Asking for a header that is absent costs a fifth of reading the status, and a 429 without it asks for nothing.
        let Some(wait) = raw::header(Map::Response, "retry-after").as_deref().and_then(seconds) else { return };
        if raw::header(Map::Response, ":status").as_deref() != Some(b"429") {
            return;
        }
        let wait = wait.min(LONGEST_WAIT);
        Worker::with(&self.plugin.policy, |worker| {
            worker.counts.add(Count::Origin429);
            worker.engine.asked_to_wait(subject, wait, raw::now());
        });
    }
}

/// A Retry-After in seconds; dates are not read.
fn seconds(text: &[u8]) -> Option<f64> {
    let seconds: f64 = std::str::from_utf8(text).ok()?.trim().parse().ok()?;
    (seconds >= 0.0).then_some(seconds)
}

/// The parts of [`CONNECTION`].
#[derive(Clone, Copy, Default)]
struct Written<'a> {
    address: Option<&'a [u8]>,
    ja4: Option<&'a [u8]>,
    route: Option<&'a [u8]>,
}

impl<'a> Written<'a> {
    fn parse(text: &'a [u8]) -> Self {
        let mut written = Self::default();
        let mut rest = text;
        while !rest.is_empty() {
            if let Some(route) = rest.strip_prefix(b"route=") {
                written.route = Some(route);
                break;
            }
            let end = rest.iter().position(|&byte| byte == b' ').unwrap_or(rest.len());
            let (word, after) = rest.split_at(end);
            written.address = word.strip_prefix(b"address=").or(written.address);
            written.ja4 = word.strip_prefix(b"ja4=").or(written.ja4);
            rest = after.strip_prefix(b" ").unwrap_or_default();
        }
        written
    }
}

fn observe(headers: &Headers<'_>, written: Option<Written<'_>>, policy: &Policy, bodyless: bool) -> Observation {
    let metadata = |path: &[String]| (!path.is_empty()).then(|| raw::property(path.join("\0").as_bytes())).flatten();
    let credential = metadata(&policy.credential_metadata);
    let account = metadata(&policy.account_metadata);
    let route = policy.exempt.needs_route().then(|| raw::property(ROUTE_NAME)).flatten();
    let is_asked = written.is_none() && policy.lens.address_header.is_none();
    let address = is_asked.then(|| raw::property(ADDRESS)).flatten();
    let written = written.unwrap_or_default();
    let connection = Connection {
        address: written.address.or(address.as_deref()),
        ja4: written.ja4,
        account: account.as_deref(),
        credential: credential.as_deref(),
        route: route.as_deref(),
        bodyless,
    };
    Observation::new(headers, &connection, &policy.lens)
}

/// Removes headers that only the filter may set, whatever their spelling.
fn remove_ours(map: &[u8], policy: &Policy) {
    let ours = wire::pairs(map).filter(|(name, _)| name::is_ours(name));
    let mut removed = 0;
    for (name, _) in ours {
        raw::remove_header(Map::Request, name);
        removed += 1;
    }
    Worker::with(policy, |worker| worker.counts.add_many(Count::SpoofedHeaders, removed));
}

/// Answers in the origin's place. Where the host takes no reply the request goes on: the filter never blocks because
/// something failed.
fn answer(reply: &Reply, verdict: &Verdict, policy: &Policy, now: Time) -> Action {
    if !raw::reply(reply.status, &wire::serialize(&reply.headers), reply.body.as_bytes()) {
        return Action::Continue;
    }
    Worker::with(policy, |worker| match verdict.wait {
        Some(wait) if reply.status == 429 => {
            worker.counts.add(Count::Replied429);
            worker.engine.asked_to_wait(verdict.subject, wait.into(), now);
        }
        _ => worker.counts.add(Count::Replied403),
    });
    Action::Pause
}

fn count_of(outcome: &Outcome) -> Count {
    match outcome {
        Outcome::OtherPath => Count::OtherPaths,
        Outcome::Auxiliary => Count::Auxiliary,
        Outcome::Exempt(Exemption::Credential) => Count::ExemptCredential,
        Outcome::Exempt(Exemption::Account) => Count::ExemptAccount,
        Outcome::Exempt(Exemption::Network) => Count::ExemptNetwork,
        Outcome::Exempt(Exemption::Route) => Count::ExemptRoute,
        Outcome::Judged(verdict) => Count::of_action(verdict.action),
    }
}

impl Context for Exchange {}

impl HttpContext for Exchange {
    fn on_http_request_headers(&mut self, _count: usize, end_of_stream: bool) -> Action {
        self.request(end_of_stream)
    }

    fn on_http_response_headers(&mut self, _count: usize, _end_of_stream: bool) -> Action {
        self.response();
        Action::Continue
    }
}

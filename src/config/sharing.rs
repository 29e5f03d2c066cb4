//! What a policy says of sharing: the indicators of others that count here, and what is told to them.

use serde::Deserialize;

use crate::judge::watchlist::{Effect, Source, Trust, trust};
use crate::judge::{Action, Score};
use crate::observe::Cidr;
use crate::share::disclosure::{Disclosure, Item};
use crate::share::feed::{Feed, Login, Server};
use crate::share::library::Limits;
use crate::share::stix::{Tlp, id};

/// `indicators`, every field present.
#[derive(Deserialize)]
pub(super) struct RawIndicators {
    effect: String,
    sources: Vec<RawSource>,
    never: Vec<String>,
    shortest_ipv4_prefix: f64,
    shortest_ipv6_prefix: f64,
    longest_days: f64,
    most: f64,
}

#[derive(Deserialize)]
struct RawSource {
    name: Box<str>,
    trust: f32,
    alone: String,
    effect: String,
    most_share: f32,
    most: f64,
    cluster: Box<str>,
    host: Box<str>,
    collection: Box<str>,
    bearer_env: Box<str>,
    basic_env: Box<str>,
    poll_seconds: f64,
    whole_hours: f64,
    page: f64,
}

impl RawIndicators {
    pub(super) fn compile(self) -> (Trust, Vec<Feed>, Limits) {
        let effect = |name: &str| Effect::by_name(name).unwrap_or(Effect::Ignore);
        let own = self.never.iter().filter_map(|text| text.parse().ok());
        let never: Vec<Cidr> = trust::never().chain(own).collect();
        let limits = Limits {
            never: never.clone(),
            shortest: (self.shortest_ipv4_prefix as u8, self.shortest_ipv6_prefix as u8),
            longest: (self.longest_days * 86_400.0) as u64,
            most: self.most as usize,
        };
        let sources = self.sources.iter().map(|source| Source {
            name: source.name.clone(),
            trust: source.trust,
            alone: Action::by_name(&source.alone).unwrap_or(Action::Pass),
            effect: effect(&source.effect),
            most_share: source.most_share,
        });
        let trust = Trust { sources: sources.collect(), never, effect: effect(&self.effect) };
        (trust, self.sources.into_iter().map(RawSource::feed).collect(), limits)
    }
}

impl RawSource {
    fn feed(self) -> Feed {
        Feed {
            server: Server::new(self.cluster, self.host, self.collection, Login::new(self.bearer_env, self.basic_env)),
            poll_every: self.poll_seconds,
            whole_every: self.whole_hours * 3_600.0,
            page: self.page as u32,
            most: self.most as usize,
        }
    }
}

/// `disclosure`, every field present.
#[derive(Deserialize)]
pub(super) struct RawDisclosure {
    fields: Vec<String>,
    member: Box<str>,
    tlp: String,
    least_credentials: f64,
    note_from: f32,
    publish_from: f64,
    hold_from: f64,
    approved: Vec<String>,
    withdrawn: Vec<String>,
    most_per_hour: f64,
    every_seconds: f64,
    cluster: Box<str>,
    host: Box<str>,
    collection: Box<str>,
    bearer_env: Box<str>,
    basic_env: Box<str>,
}

impl RawDisclosure {
    pub(super) fn compile(self) -> Disclosure {
        let ids = |texts: Vec<String>| texts.iter().filter_map(|text| id::read("indicator", text)).collect();
        let is_listed = |name: &str| self.fields.iter().any(|field| field == name);
        Disclosure {
            items: Item::ALL.into_iter().filter(|(_, name)| is_listed(name)).map(|(item, _)| item).collect(),
            member: self.member,
            // The strictest, if it should not be known after all.
            tlp: Tlp::by_name(&self.tlp).unwrap_or(Tlp::Red),
            least_credentials: self.least_credentials as u32,
            note_from: Score::new(self.note_from),
            publish_from: self.publish_from as u8,
            hold_from: self.hold_from as u8,
            approved: ids(self.approved),
            withdrawn: ids(self.withdrawn),
            most_per_hour: self.most_per_hour as u32,
            every: self.every_seconds,
            server: Server::new(self.cluster, self.host, self.collection, Login::new(self.bearer_env, self.basic_env)),
        }
    }
}

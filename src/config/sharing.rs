//! What a policy says of indicators: those of others that count here.

use serde::Deserialize;

use crate::judge::Action;
use crate::judge::watchlist::{Effect, Source, Trust, trust};
use crate::observe::Cidr;
use crate::share::feed::{Feed, Login, Server};
use crate::share::library::Limits;

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

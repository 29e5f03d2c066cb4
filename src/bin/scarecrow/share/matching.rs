//! `scarecrow share match`

use anyhow::{Result, bail};
use scarecrow::Outcome;
use scarecrow::judge::Action;
use scarecrow::judge::watchlist::{Effect, Source, Uuid};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::ExitCode;
use std::rc::Rc;

use super::client::LoginArguments;
use super::indicators::Indicators;
use crate::report::table;
use crate::traffic::{self, Traffic};

/// Show which indicators fit recorded traffic, and what they would have done
///
/// Runs the traffic through the engine with the indicators of a file or a collection, at the exchanges' own times, and lists each
/// indicator that fits with the callers it fits. Honest callers among them, where the traffic is labelled, are counted.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  scarecrow share match week.jsonl.gz --indicators hub.json
  scarecrow share match week.jsonl.gz --indicators https://hub.example.org/api/collections/… --basic-env HUB_LOGIN --config policy.yaml --source hub --json

With SCARECROW_COMMUNITY_KEY set, tokens and sketches of the community are matched too.")]
pub struct Arguments {
    /// Recorded traffic, as `replay` reads it
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// A file of indicators, or the URL of a collection
    #[arg(long, value_name = "FILE|URL")]
    indicators: String,
    #[command(flatten)]
    login: LoginArguments,
    /// The policy, or an Envoy configuration that holds one; without it all defaults
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The source of the policy that the indicators count as; without it the first, and without any one of trust 1
    #[arg(long, value_name = "NAME")]
    source: Option<String>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// What became of one indicator.
#[derive(Default)]
struct Fits {
    exchanges: usize,
    callers: BTreeSet<usize>,
    honest: BTreeSet<usize>,
    actions: BTreeMap<&'static str, usize>,
}

pub fn run(arguments: &Arguments) -> Result<ExitCode> {
    let mut policy = traffic::policy(arguments.config.as_deref(), None)?;
    let sources = &mut policy.trust.sources;
    match &arguments.source {
        Some(name) => {
            sources.retain(|source| *source.name == **name);
            if sources.is_empty() {
                bail!("--source {name}: the policy has no source of that name");
            }
        }
        None if sources.is_empty() => sources.push(Source {
            name: "file".into(),
            trust: 1.0,
            alone: Action::Pass,
            effect: Effect::Use,
            most_share: 1.0,
        }),
        None => sources.truncate(1),
    }
    policy.observe_what_indicators_name();
    let indicators = Indicators::read(&arguments.indicators, &arguments.login, &policy.limits, |_| {})?;
    let mut traffic = Traffic::read(&arguments.files, &policy)?;
    traffic.sort();
    // Validity is judged at each exchange's own time; what ended before the first is not needed.
    let start = traffic.exchanges.first().map(|exchange| exchange.time).unwrap_or_default();
    traffic.watchlist = Rc::new(indicators.library.watchlist(&policy.trust.names(), policy.limits.longest, start));
    let mut found: BTreeMap<u128, Fits> = BTreeMap::new();
    let mut matched = 0;
    traffic.play(&policy, |_, exchange, outcome| {
        let Outcome::Judged(verdict, _) = outcome else { return };
        let Some(indicated) = verdict.reasons.indicator else { return };
        matched += 1;
        let fits = found.entry(indicated.id).or_default();
        fits.exchanges += 1;
        fits.callers.insert(exchange.actor);
        if traffic.actors.get(exchange.actor).is_some_and(|actor| actor.is_harvester() == Some(false)) {
            fits.honest.insert(exchange.actor);
        }
        *fits.actions.entry(verdict.action.name()).or_default() += 1;
    });
    if arguments.json {
        let rows: Vec<_> = found
            .iter()
            .map(|(id, fits)| {
                json!({
                    "indicator": format!("indicator--{}", Uuid(*id)), "exchanges": fits.exchanges,
                    "callers": fits.callers.len(), "honest_callers": fits.honest.len(), "actions": fits.actions,
                })
            })
            .collect();
        let report = json!({
            "exchanges": traffic.exchanges.len(), "indicators": indicators.library.len(), "matched": matched, "matches": rows,
        });
        return crate::print(&crate::pretty(&report));
    }
    let mut text =
        format!("{} indicators, {} exchanges, {matched} matched\n", indicators.library.len(), traffic.exchanges.len());
    if !found.is_empty() {
        let mut rows = table(&["indicator", "exchanges", "callers", "honest", "actions"]);
        for (id, fits) in &found {
            let actions: Vec<String> = fits.actions.iter().map(|(action, count)| format!("{action} {count}")).collect();
            rows.add_row([
                format!("indicator--{}", Uuid(*id)),
                fits.exchanges.to_string(),
                fits.callers.len().to_string(),
                fits.honest.len().to_string(),
                actions.join(", "),
            ]);
        }
        text.push_str(&format!("\n{rows}\n"));
    }
    crate::print(&text)
}

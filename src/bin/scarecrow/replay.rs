//! `scarecrow replay`

use ahash::RandomState;
use anyhow::{Context, Result, bail};
use indicatif::{ProgressBar, ProgressStyle};
use scarecrow::config::Policy;
use scarecrow::judge::{Model, Verdict};
use scarecrow::observe::{Connection, Headers, Observation, Principal, Secret};
use scarecrow::remember::Time;
use scarecrow::{Engine, Outcome};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use crate::har::{self, Entry};
use crate::report::{self, Actor};
use crate::{documents, hash};

/// Run recorded traffic through the engine and report what a policy would have done
///
/// Reads HAR 1.2 documents (.har) or one HAR entry a line (.jsonl), plain or gzipped (.gz). Entries may carry
/// `_client: {address, ja4}`, `_label: {harvest, campaign, actor}` and `_usage: {output_tokens}`. All entries are sorted
/// by their own time first. Actions are counted whether the policy's mode is observe or enforce.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  scarecrow replay week.jsonl.gz --config policy.yaml
  scarecrow replay *.har --json | jq .honest_touched
  scarecrow replay week.jsonl --explain credential:0123456789abcdef

With SCARECROW_SECRET set, hashes are those that the filter logs under the same secret.")]
pub struct Arguments {
    /// Recorded traffic
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// The policy, or an Envoy configuration that holds one; without it all defaults
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// A model.json in place of the policy's
    #[arg(long, value_name = "FILE")]
    model: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    /// Show one actor's timeline: its name, or its principal as kind:hash
    #[arg(long, value_name = "ACTOR|HASH")]
    explain: Option<String>,
}

/// One exchange, reduced to what the engine needs. Holds no text.
pub struct Exchange {
    time: Time,
    observation: Observation,
    /// Index of the actor.
    actor: usize,
    output_tokens: Option<f64>,
    /// Seconds that the recorded response asked to wait with a 429.
    asked_to_wait: Option<f64>,
}

/// All recorded traffic.
#[derive(Default)]
pub struct Traffic {
    exchanges: Vec<Exchange>,
    actors: Vec<Actor>,
    by_name: HashMap<String, usize>,
}

/// What became of one exchange; `None` where it was not judged.
pub struct Step {
    /// When.
    pub time: Time,
    /// The operation, by name.
    pub operation: &'static str,
    /// The verdict.
    pub verdict: Option<Verdict>,
}

pub fn run(arguments: &Arguments) -> Result<ExitCode> {
    let policy = policy(arguments)?;
    let started = Instant::now();
    let mut traffic = read(&arguments.files, &policy)?;
    traffic.exchanges.sort_by_key(|exchange| exchange.time);

    if let Some(wanted) = &arguments.explain {
        let index = traffic.find(wanted)?;
        let mut steps = Vec::new();
        traffic.play(&policy, |exchange, outcome| {
            if exchange.actor == index {
                let verdict = if let Outcome::Judged(verdict) = outcome { Some(*verdict) } else { None };
                let operation = exchange.observation.api.map_or("other path", |api| api.operation.name());
                steps.push(Step { time: exchange.time, operation, verdict });
            }
        });
        let actor = traffic.actors.get(index).context("the actor is gone")?;
        let text = if arguments.json { report::timeline_json(actor, &steps) } else { report::timeline(actor, &steps) };
        return crate::print(&text);
    }

    let bar = progress(traffic.exchanges.len() as u64, "judging");
    let mut actors = std::mem::take(&mut traffic.actors);
    let tokens_known = traffic.exchanges.iter().any(|exchange| exchange.output_tokens.is_some());
    traffic.play(&policy, |exchange, outcome| {
        bar.inc(1);
        // Where no token is known, requests stand for tokens, so that the share that leaked still means something.
        let tokens = if tokens_known { exchange.output_tokens.unwrap_or(0.0) } else { 1.0 };
        if let (Some(actor), Outcome::Judged(verdict)) = (actors.get_mut(exchange.actor), outcome) {
            actor.judged(verdict, tokens);
        }
    });
    bar.finish_and_clear();
    let report = report::Report::new(&actors, traffic.exchanges.len(), tokens_known, started.elapsed());
    crate::print(&if arguments.json { crate::pretty(&report.json()) } else { report.text(&policy) })
}

fn policy(arguments: &Arguments) -> Result<Policy> {
    let secret = hash::secret().unwrap_or_else(|| Secret::new(b"replay"));
    let mut document = match &arguments.config {
        Some(path) => {
            let found = documents::policies(&documents::read(path)?)?;
            let own = found.into_iter().find(|policy| !policy.is_route);
            own.with_context(|| format!("{} holds no policy", path.display()))?.policy
        }
        None => serde_json::json!({}),
    };
    if let Some(path) = &arguments.model {
        let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        if let Err(problem) = Model::parse(&text) {
            bail!("{}: {problem}", path.display());
        }
        if let Some(object) = document.as_object_mut() {
            object.insert("model".to_owned(), serde_json::from_str(&text)?);
        }
    }
    Policy::new(&document, &secret).map_err(|problems| match &arguments.config {
        Some(path) => anyhow::anyhow!("{}: {problems}", path.display()),
        None => problems.into(),
    })
}

/// A bar on a terminal, nothing elsewhere.
fn progress(length: u64, what: &'static str) -> ProgressBar {
    let style = ProgressStyle::with_template("{msg:9} [{bar:40}] {percent:>3} %  {eta} left");
    let bar = ProgressBar::new(length).with_message(what);
    match style {
        Ok(style) => bar.with_style(style.progress_chars("=> ")),
        Err(_) => bar,
    }
}

fn read(files: &[PathBuf], policy: &Policy) -> Result<Traffic> {
    let size = |path: &PathBuf| std::fs::metadata(path).map_or(0, |metadata| metadata.len());
    let bar = progress(files.iter().map(size).sum(), "reading");
    let mut traffic = Traffic::default();
    for file in files {
        let counter = bar.clone();
        har::read(file, move |bytes| counter.inc(bytes), &mut |entry| traffic.add(entry, policy))?;
    }
    bar.finish_and_clear();
    if traffic.exchanges.is_empty() {
        let names: Vec<String> = files.iter().map(|path: &PathBuf| Path::display(path).to_string()).collect();
        bail!("{} holds no exchanges", names.join(", "));
    }
    Ok(traffic)
}

impl Traffic {
    fn add(&mut self, entry: &Entry<'_>, policy: &Policy) -> Result<()> {
        let started: jiff::Timestamp = entry.started.parse().with_context(|| {
            format!("startedDateTime: {:?} is not a time; use 2026-01-31T12:00:00.000Z", entry.started)
        })?;
        let time = Time(started.as_nanosecond().try_into().unwrap_or(0));
        let observation = observe(entry, policy);
        let subject = observation.subject();
        let (harvest, campaign, name) = match &entry.label {
            Some(label) => (label.harvest, label.campaign.as_deref(), label.actor.as_deref()),
            None => (None, None, None),
        };
        let actor = self.actor(name, subject);
        if let Some(actor) = self.actors.get_mut(actor) {
            actor.learn(harvest, campaign);
        }
        let asked_to_wait = (entry.response.status == Some(429))
            .then(|| entry.response_header("retry-after")?.trim().parse::<f64>().ok())
            .flatten()
            .filter(|seconds| (0.0..=3600.0).contains(seconds));
        self.exchanges.push(Exchange { time, observation, actor, output_tokens: entry.output_tokens(), asked_to_wait });
        Ok(())
    }

    fn actor(&mut self, name: Option<&str>, subject: Principal) -> usize {
        let name = name.map_or_else(|| subject.to_string(), str::to_owned);
        let next = self.actors.len();
        let index = *self.by_name.entry(name.clone()).or_insert(next);
        if index == next {
            self.actors.push(Actor::new(name, subject));
        }
        index
    }

    fn find(&self, wanted: &str) -> Result<usize> {
        let by_subject = || self.actors.iter().position(|actor| actor.subject.to_string() == wanted);
        self.by_name.get(wanted).copied().or_else(by_subject).with_context(|| {
            let some: Vec<&str> = self.actors.iter().take(5).map(|actor| actor.name.as_str()).collect();
            format!(
                "{wanted} is neither an actor nor a principal in this traffic; actors are for example {}",
                some.join(", ")
            )
        })
    }

    /// Runs all exchanges through a fresh engine, in the order in which they stand.
    fn play(&self, policy: &Policy, mut each: impl FnMut(&Exchange, &Outcome)) {
        // Fixed, so that a replay repeats exactly.
        let mut engine = Engine::new(policy.principals, RandomState::with_seeds(1, 2, 3, 4));
        for exchange in &self.exchanges {
            let outcome = engine.request(&exchange.observation, policy, exchange.time);
            each(exchange, &outcome);
            if let (Outcome::Judged(verdict), Some(seconds)) = (&outcome, exchange.asked_to_wait) {
                engine.asked_to_wait(verdict.subject, seconds, exchange.time);
            }
        }
    }
}

/// Reads a recorded request as the proxy reads a live one.
fn observe(entry: &Entry<'_>, policy: &Policy) -> Observation {
    let (authority, path) = split_url(&entry.request.url);
    // A proxy hands names over in lower case; pseudo-headers that a recorder kept stand in the URL already.
    let headers = entry.request.headers.iter().filter(|header| !header.name.starts_with(':'));
    let headers: Vec<(String, &[u8])> =
        headers.map(|header| (header.name.to_ascii_lowercase(), header.value.as_bytes())).collect();
    let pseudo: [(&[u8], &[u8]); 3] = [
        (b":method", entry.request.method.as_bytes()),
        (b":authority", authority.as_bytes()),
        (b":path", path.as_bytes()),
    ];
    let pairs = pseudo.into_iter().chain(headers.iter().map(|(name, value)| (name.as_bytes(), *value)));
    let connection = Connection {
        address: entry.client.address.as_deref().map(str::as_bytes),
        ja4: entry.client.ja4.as_deref().map(str::as_bytes),
        bodyless: entry.request.body.is_none() && entry.request.body_size == Some(0),
        ..Connection::default()
    };
    Observation::new(&Headers::new(pairs), &connection, &policy.lens)
}

/// The authority and the path of an absolute URL; of anything else, all of it is the path.
fn split_url(url: &str) -> (&str, &str) {
    let Some((_, rest)) = url.split_once("://") else { return ("", url) };
    match rest.find('/') {
        Some(at) => rest.split_at(at),
        None => (rest, "/"),
    }
}

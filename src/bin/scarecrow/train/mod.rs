//! `scarecrow train`: the weights, from labelled traffic.

mod ablation;
mod regression;
mod samples;

use anyhow::{Context, Result, bail};
use scarecrow::config::Policy;
use scarecrow::judge::model::{File, Logistic, VERSION, Weights};
use scarecrow::judge::{CLUSTER_FEATURES, FEATURES, Model};
use scarecrow::observe::hash::{mix, public};
use serde_json::json;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use self::regression::{Fitted, fit, folds_auc, nothing_speaks_for};
use self::samples::{Honest, Samples};
use crate::simulate::Simulation;
use crate::statistics::quantile;
use crate::traffic;

/// Fit the score's weights to labelled traffic
///
/// Runs scenarios, which name their harvesters, twice: once to learn what tells a cluster that one hand moves, and once,
/// with that, to learn what tells a harvester. Both are L2-regularised logistic regressions; a feature that would speak for
/// a caller is left out. Campaigns are kept together when parts are held out to calibrate and to measure.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  scarecrow train tests/scenarios/train/*.yaml --out model.json
  scarecrow train tests/scenarios/train/*.yaml --ablation

The same scenarios give the same model, byte for byte. `make train` writes the one that is compiled in.")]
pub struct Arguments {
    /// The scenarios
    #[arg(required = true)]
    scenarios: Vec<PathBuf>,
    /// Where to write the model; standard output if not given
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// The model's name
    #[arg(long, default_value = "trained")]
    name: String,
    /// Its date, for its provenance
    #[arg(long, value_name = "YYYY-MM-DD", default_value = "")]
    date: String,
    /// Show what each kind of evidence adds, in place of writing a model
    #[arg(long)]
    ablation: bool,
    /// The folder with recorded clients and texts; tests/traffic if not given
    #[arg(long, value_name = "FOLDER")]
    traffic: Option<PathBuf>,
}

pub fn run(arguments: &Arguments) -> Result<ExitCode> {
    let mut policy = traffic::policy(None, None)?;
    policy.principals = 1 << 18;
    let simulations: Vec<Simulation> = arguments
        .scenarios
        .iter()
        .map(|path| Simulation::read(path, arguments.traffic.as_deref(), None, &policy))
        .collect::<Result<_>>()?;

    let bar = traffic::progress(2 * simulations.len() as u64, "learning");
    let mut clusters = Samples::default();
    for simulation in &simulations {
        samples::of_clusters(simulation, &policy, &mut clusters)?;
        bar.inc(1);
    }
    let of_clusters = learn(&clusters, &CLUSTER_FEATURES.each_ref().map(|feature| feature.name))?;
    policy.model.clusters = of_clusters.weights;
    place(&simulations, &mut policy, |honest| &mut honest.clusters, |model| &mut model.clusters.bias)?;

    let mut requests = Samples::default();
    for simulation in &simulations {
        samples::of_requests(simulation, &policy, &mut requests)?;
        bar.inc(1);
    }
    bar.finish_and_clear();
    if arguments.ablation {
        return crate::print(&ablation::table(&requests)?);
    }
    let of_requests = learn(&requests, &FEATURES.each_ref().map(|feature| feature.name))?;

    policy.model.requests = of_requests.weights;
    place(&simulations, &mut policy, |honest| &mut honest.callers, |model| &mut model.requests.bias)?;

    let mut data = 0;
    for path in &arguments.scenarios {
        let text = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        data = mix(data ^ public(&text));
    }
    let file = File {
        version: VERSION,
        name: arguments.name.clone(),
        provenance: json!({
            "trained_on": arguments.scenarios.iter().map(|path| path.display().to_string()).collect::<Vec<_>>(),
            "scenarios_hash": format!("{data:016x}"),
            "date": arguments.date,
            "clusters": of_clusters.report,
            "requests": of_requests.report,
        }),
        clusters: Logistic { bias: policy.model.clusters.bias, ..of_clusters.written },
        requests: Logistic { bias: policy.model.requests.bias, ..of_requests.written },
    };
    let text = crate::pretty(&serde_json::to_value(&file)?);
    if let Err(problem) = Model::parse(&text) {
        bail!("the model that was fitted is no valid one: {problem}\n{text}");
    }
    match &arguments.out {
        None => crate::print(&text),
        Some(path) => {
            std::fs::write(path, &text).with_context(|| format!("cannot write {}", path.display()))?;
            anstream::eprintln!("{}: {}", path.display(), file.provenance["requests"]);
            Ok(ExitCode::SUCCESS)
        }
    }
}

struct Learnt<const N: usize> {
    weights: Weights<N>,
    written: Logistic,
    report: serde_json::Value,
}

/// Digits that are kept of a weight: more are noise, and may differ between machines.
const DIGITS: f64 = 100.0;

/// One honest caller in a thousand, and one honest cluster, may reach even odds; a throttle needs six to one.
const HONEST_BELOW: f64 = 0.999;

/// Moves a bias so that nearly all that is honest stays below even odds, whatever is believed of how many harvest.
fn place(
    simulations: &[Simulation],
    policy: &mut Policy,
    of: impl Fn(&mut Honest) -> &mut Vec<f64>,
    bias: impl Fn(&mut Model) -> &mut f32,
) -> Result<()> {
    // Evidence weighs requests by their odds, so that a moved bias moves it too: the second round is about right.
    for _ in 0..2 {
        let mut honest = Honest::default();
        for simulation in simulations {
            samples::of_honest(simulation, policy, &mut honest)?;
        }
        let highest = quantile(of(&mut honest), HONEST_BELOW).unwrap_or(0.0);
        let bias = bias(&mut policy.model);
        *bias = round(f64::from(*bias) - highest);
    }
    Ok(())
}

fn round(value: f64) -> f32 {
    ((value * DIGITS).round() / DIGITS) as f32
}

fn learn<const N: usize>(samples: &Samples, names: &[&str; N]) -> Result<Learnt<N>> {
    let Fitted { bias, weights } = nothing_speaks_for(samples, names, &|part| fit(part))?;
    let folds = folds_auc(samples, names)?;
    let shift = samples.log_odds();
    let mut kept = [0.0; N];
    let mut written = BTreeMap::new();
    for ((slot, name), weight) in kept.iter_mut().zip(names).zip(&weights) {
        *slot = round(*weight * folds.slope.min(1.0));
        if *slot != 0.0 {
            written.insert((*name).to_owned(), *slot);
        }
    }
    // Platt's scaling may make the model less sure of itself, never more: what it has not seen may be unlike all of this.
    let calibrated = if folds.slope < 1.0 { bias * folds.slope + folds.offset } else { bias };
    let bias = round(calibrated - shift);
    Ok(Learnt {
        weights: Weights { bias, weights: kept },
        written: Logistic { bias, weights: written },
        report: json!({
            "samples": samples.len(),
            "harvest_share": (samples.share() * 1e4).round() / 1e4,
            "campaigns": samples.campaigns(),
            "held_out_roc_area": (folds.auc * 1e4).round() / 1e4,
            "calibration_slope": (folds.slope * 1e3).round() / 1e3,
        }),
    })
}


//! `scarecrow evaluate`

mod baselines;
mod chart;
mod page;
mod tally;
mod targets;

use anyhow::{Context, Result, anyhow};
use scarecrow::config::Policy;
use scarecrow::judge::Action;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Mutex;
use std::time::Instant;

use self::baselines::{Detector, Filter, Pool, Prada, RateLimit, Seat, Templates, UserAgents, Windows};
use self::page::grouped;
use self::tally::Tally;
use self::targets::Target;
use crate::report::table;
use crate::simulate::{Simulation, judge};
use crate::statistics::quantile;
use crate::traffic;

/// Measure how well a policy finds harvesters, beside what others would do, and whom it touches
///
/// Runs scenarios through the engine and, in the same run, through baselines: a rate limit per key, a User-Agent list, PRADA,
/// SEAT, keys per template, and a window test on hashed n-grams. Each baseline acts where one in a thousand honest actors of
/// --honest exceeds it.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  scarecrow evaluate tests/scenarios/test/*.yaml --out report.html
  scarecrow evaluate tests/scenarios/test/mix.yaml --json | jq .targets
  scarecrow evaluate tests/scenarios/large/*.yaml --alone --principals 524288

docs/evaluation.md says what the figures mean.")]
pub struct Arguments {
    /// The scenarios
    #[arg(required = true)]
    scenarios: Vec<PathBuf>,
    /// Without baselines
    #[arg(long)]
    alone: bool,
    /// Honest traffic that the baselines are calibrated on
    #[arg(long, value_name = "SCENARIO", default_value = "tests/scenarios/train/honest.yaml")]
    honest: PathBuf,
    /// The policy, or an Envoy configuration that holds one; without it all defaults
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// A model.json in place of the policy's
    #[arg(long, value_name = "FILE")]
    model: Option<PathBuf>,
    /// Principals to remember, in place of the policy's
    #[arg(long, value_name = "COUNT", default_value_t = 1 << 18)]
    principals: usize,
    /// Write a report as one HTML page
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// The folder with recorded clients and texts; tests/traffic if not given
    #[arg(long, value_name = "FOLDER")]
    traffic: Option<PathBuf>,
    /// Scenarios to run at once; as many as there are processors if not given
    #[arg(long, value_name = "COUNT")]
    jobs: Option<usize>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// One scenario, measured.
pub struct Measured {
    /// Its name: that of its file.
    scenario: String,
    about: String,
    detectors: Vec<&'static str>,
    thresholds: Vec<f32>,
    tally: Tally,
    seconds: f64,
}

/// All that was measured.
pub struct Evaluation {
    model: String,
    measured: Vec<Measured>,
    targets: Vec<Target>,
}

/// The share of honest actors that a baseline may exceed its threshold with.
const CALIBRATED: f64 = 0.999;

/// What honest queries look like, and from which score on each baseline acts.
#[derive(Default)]
struct Calibration {
    honest: Option<[f32; 64]>,
    thresholds: Vec<f32>,
}

impl Calibration {
    /// The filter, and the baselines if they are calibrated.
    fn detectors(&self, policy: &Policy) -> Vec<Box<dyn Detector>> {
        let throttle_at = policy.steps.start_of(Action::Throttle).map_or(f32::INFINITY, |start| start.value());
        let mut all: Vec<Box<dyn Detector>> = vec![Box::new(Filter { throttle_at })];
        if let Some(honest) = self.honest {
            all.push(Box::new(RateLimit::default()));
            all.push(Box::new(UserAgents));
            all.push(Box::new(Prada::default()));
            all.push(Box::new(Seat::default()));
            all.push(Box::new(Templates::default()));
            all.push(Box::new(Windows::new(100, "n-gram window of 100", honest)));
            all.push(Box::new(Windows::new(1_500, "n-gram window of 1,500", honest)));
        }
        all
    }

    fn measure(simulation: &Simulation, policy: &Policy) -> Result<Self> {
        let mut pool = Pool::default();
        simulation.run(policy, |exchange| pool.add(&exchange))?;
        let mut calibration = Self { honest: Some(pool.mean()), thresholds: Vec::new() };
        let mut detectors = calibration.detectors(policy);
        let mut tally = Tally::new();
        let unreachable = vec![f32::INFINITY; detectors.len()];
        let mut scores = vec![0.0; detectors.len()];
        simulation.run(policy, |exchange| {
            for (score, detector) in scores.iter_mut().zip(&mut detectors) {
                // The filter needs no calibration, so it is not run here.
                *score = detector.see(&exchange, None);
            }
            tally.add(simulation, &exchange, &scores, &unreachable);
        })?;
        let thresholds = (0..detectors.len()).map(|index| {
            let highest = quantile(&mut tally.highest(index, false), CALIBRATED).unwrap_or(f64::INFINITY) as f32;
            // Acting begins above what that share of honest actors reach.
            highest.next_up().max(f32::MIN_POSITIVE)
        });
        calibration.thresholds = thresholds.collect();
        Ok(calibration)
    }
}

fn measure(path: &Path, arguments: &Arguments, policy: &Policy, calibration: &Calibration) -> Result<Measured> {
    let simulation = Simulation::read(path, arguments.traffic.as_deref(), None, policy)?;
    let started = Instant::now();
    let mut engine = traffic::engine(policy);
    let mut detectors = calibration.detectors(policy);
    let thresholds: Vec<f32> = detectors
        .iter()
        .enumerate()
        .map(|(index, detector)| {
            let calibrated = calibration.thresholds.get(index).copied();
            detector.threshold().or(calibrated).unwrap_or(f32::INFINITY)
        })
        .collect();
    let mut tally = Tally::new();
    let mut scores = vec![0.0; detectors.len()];
    simulation.run(policy, |exchange| {
        let verdict = judge(&mut engine, policy, &exchange);
        for (score, detector) in scores.iter_mut().zip(&mut detectors) {
            *score = detector.see(&exchange, verdict.as_ref());
        }
        tally.add(&simulation, &exchange, &scores, &thresholds);
    })?;
    Ok(Measured {
        scenario: path.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned()),
        about: simulation.about().to_owned(),
        detectors: detectors.iter().map(|detector| detector.name()).collect(),
        thresholds,
        tally,
        seconds: started.elapsed().as_secs_f64(),
    })
}

pub fn run(arguments: &Arguments) -> Result<ExitCode> {
    let mut policy = traffic::policy(arguments.config.as_deref(), arguments.model.as_deref())?;
    policy.principals = arguments.principals;
    let calibration = if arguments.alone {
        Calibration::default()
    } else {
        anstream::eprintln!("calibrating the baselines on {}", arguments.honest.display());
        Calibration::measure(
            &Simulation::read(&arguments.honest, arguments.traffic.as_deref(), None, &policy)?,
            &policy,
        )?
    };
    let measured = measure_all(arguments, &policy, &calibration)?;
    let targets = targets::all(&measured);
    let evaluation = Evaluation { model: policy.model.name.clone(), measured, targets };
    if let Some(path) = &arguments.out {
        std::fs::write(path, page::html(&evaluation)?).with_context(|| format!("cannot write {}", path.display()))?;
        anstream::eprintln!("{} is written", path.display());
    }
    crate::print(&if arguments.json { crate::pretty(&evaluation.json()) } else { evaluation.text() })
}

/// Runs all scenarios, some at once, and puts them in the order in which they were asked for.
fn measure_all(arguments: &Arguments, policy: &Policy, calibration: &Calibration) -> Result<Vec<Measured>> {
    let jobs = arguments.jobs.or_else(|| std::thread::available_parallelism().ok().map(usize::from)).unwrap_or(1);
    let waiting = Mutex::new(arguments.scenarios.iter().enumerate());
    let done: Mutex<BTreeMap<usize, Result<Measured>>> = Mutex::default();
    std::thread::scope(|scope| {
        for _ in 0..jobs.clamp(1, arguments.scenarios.len()) {
            scope.spawn(|| {
                loop {
                    let next = waiting.lock().ok().and_then(|mut waiting| waiting.next());
                    let Some((index, path)) = next else { return };
                    anstream::eprintln!("running {}", path.display());
                    let measured = measure(path, arguments, policy, calibration);
                    if let Ok(measured) = &measured {
                        let rate = measured.tally.exchanges as f64 / measured.seconds.max(1e-9);
                        anstream::eprintln!(
                            "{}: {} exchanges in {:.0} s, {} a second",
                            path.display(),
                            grouped(measured.tally.exchanges),
                            measured.seconds,
                            grouped(rate as u64)
                        );
                    }
                    if let Ok(mut done) = done.lock() {
                        done.insert(index, measured);
                    }
                }
            });
        }
    });
    done.into_inner().map_err(|_| anyhow!("a scenario's thread failed"))?.into_values().collect()
}

/// The most memory that this process had so far, in bytes, where the system tells.
fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.parse::<u64>().ok().map(|kibibytes| kibibytes * 1024)
}

impl Evaluation {
    fn json(&self) -> Value {
        let scenarios = self.measured.iter().map(|measured| {
            let tally = &measured.tally;
            let detectors = measured.detectors.iter().zip(&measured.thresholds).enumerate().map(|(index, (name, threshold))| {
                json!({
                    "detector": name,
                    "threshold": threshold.is_finite().then_some(threshold),
                    "figures": tally.figures(index, |_| true),
                    "honest_touched_by_kind": tally.kinds(index).into_iter()
                        .map(|(kind, (actors, touched))| (kind.to_owned(), json!({"actors": actors, "touched": touched})))
                        .collect::<serde_json::Map<_, _>>(),
                    "campaigns": tally.campaigns().into_iter()
                        .map(|campaign| (campaign.to_owned(), json!(tally.figures(index, |name| name == campaign))))
                        .collect::<serde_json::Map<_, _>>(),
                })
            });
            json!({
                "scenario": measured.scenario,
                "exchanges": tally.exchanges,
                "seconds": measured.seconds,
                "detectors": detectors.collect::<Vec<_>>(),
            })
        });
        json!({
            "model": self.model,
            "targets": self.targets,
            "scenarios": scenarios.collect::<Vec<_>>(),
            "peak_memory_bytes": peak_memory(),
        })
    }

    fn text(&self) -> String {
        let mut out = String::new();
        if !self.targets.is_empty() {
            let mut table = table(&["what", "target", "reached", ""]);
            for target in &self.targets {
                let word = if target.is_met { "met" } else { "MISSED" };
                table.add_row([&target.what, &target.target, &target.reached, word]);
            }
            let _ = writeln!(out, "{table}\n");
        }
        let mut table =
            table(&["scenario", "detector", "caught", "leaked", "hours to half", "honest touched", "ROC area"]);
        for measured in &self.measured {
            for (index, name) in measured.detectors.iter().enumerate() {
                let figures = measured.tally.figures(index, |_| true);
                let scenario = if index == 0 { measured.scenario.clone() } else { String::new() };
                table.add_row([scenario, (*name).to_owned()].into_iter().chain(figures.cells()));
            }
        }
        let _ = writeln!(out, "{table}\n");
        let _ = writeln!(
            out,
            "Caught: harvesting actors that were throttled or rejected, or that a baseline exceeded its threshold for. Leaked: the share of\nall harvesters' output tokens before. Hours to half: after which half of the harvesters were caught, from each one's first request."
        );
        let exchanges: u64 = self.measured.iter().map(|measured| measured.tally.exchanges).sum();
        let memory = peak_memory().map_or(String::new(), |bytes| format!("; at most {} MiB of memory", bytes >> 20));
        let _ = writeln!(out, "{} exchanges{memory}", grouped(exchanges));
        out
    }
}

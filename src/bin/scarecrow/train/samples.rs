//! What is learnt from: features of clusters and of requests, with labels.

use anyhow::Result;
use scarecrow::config::Policy;
use scarecrow::judge::cluster::{self, Cluster};
use scarecrow::observe::shared;
use std::collections::{BTreeMap, HashMap};

use crate::simulate::{Simulation, judge};
use crate::traffic;

/// So many samples are kept of each campaign or kind at most, so that large ones do not drown small ones.
const MOST: usize = 3_000;

/// Feature vectors with labels, each of a campaign or a kind of honest use.
#[derive(Clone, Default)]
pub struct Samples {
    /// One vector after another.
    pub rows: Vec<Vec<f32>>,
    /// Whether it is of harvesting.
    pub harvests: Vec<bool>,
    /// Index of its campaign.
    pub of: Vec<usize>,
    names: Vec<String>,
    counts: Vec<usize>,
}

impl Samples {
    fn campaign(&mut self, name: &str) -> usize {
        let known = self.names.iter().position(|known| known == name);
        known.unwrap_or_else(|| {
            self.names.push(name.to_owned());
            self.counts.push(0);
            self.names.len() - 1
        })
    }

    fn add(&mut self, campaign: usize, harvests: bool, row: Vec<f32>) {
        let Some(count) = self.counts.get_mut(campaign) else { return };
        if *count < MOST {
            *count += 1;
            self.rows.push(row);
            self.harvests.push(harvests);
            self.of.push(campaign);
        }
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// The share that is of harvesting.
    pub fn share(&self) -> f64 {
        self.harvests.iter().filter(|harvests| **harvests).count() as f64 / self.len().max(1) as f64
    }

    /// The log-odds of that share.
    pub fn log_odds(&self) -> f64 {
        libm::log(self.share() / (1.0 - self.share()))
    }

    /// The names of campaigns and kinds of use.
    pub fn campaigns(&self) -> usize {
        self.names.len()
    }

    /// Those whose campaign is in a fold, or those whose is not. A campaign is never in two.
    pub fn part(&self, fold: usize, folds: usize, inside: bool) -> Self {
        let mut part = Self { names: self.names.clone(), counts: self.counts.clone(), ..Self::default() };
        for ((row, harvests), of) in self.rows.iter().zip(&self.harvests).zip(&self.of) {
            if (of % folds == fold) == inside {
                part.rows.push(row.clone());
                part.harvests.push(*harvests);
                part.of.push(*of);
            }
        }
        part
    }
}

/// Numbers of requests after which a sample is taken: at once, and then at growing distances.
fn is_sampled(count: u64) -> bool {
    matches!(count, 1 | 2 | 3 | 5 | 8 | 12 | 20 | 30 | 50 | 80 | 130 | 200) || count % 500 == 0
}

/// Clusters as they grow. One that harvesters and honest users share about evenly is no example of either.
pub fn of_clusters(simulation: &Simulation, policy: &Policy, samples: &mut Samples) -> Result<()> {
    #[derive(Default)]
    struct Seen {
        requests: u64,
        harvested: u64,
    }
    let mut engine = traffic::engine(policy);
    let mut seen: HashMap<u64, Seen> = HashMap::new();
    simulation.run(policy, |exchange| {
        judge(&mut engine, policy, &exchange);
        let group = simulation.group(exchange.who);
        for (link, id) in cluster::groups(&shared(exchange.observation)) {
            let seen = seen.entry(id).or_default();
            seen.requests += 1;
            seen.harvested += u64::from(group.harvest);
            if seen.requests < 20 || !(is_sampled(seen.requests) || seen.requests % 100 == 0) {
                continue;
            }
            let Some(remembered) = engine.memory().groups().get(id) else { continue };
            let share = seen.harvested as f64 / seen.requests as f64;
            if remembered.members.count() < cluster::FEWEST || (0.2..0.7).contains(&share) {
                continue;
            }
            let campaign = samples.campaign(&format!("{} {}", group.name, link.name()));
            let values = cluster::values(&Cluster { link, group: remembered });
            samples.add(campaign, share > 0.5, values.to_vec());
        }
    })
}

/// Requests as each key goes on.
pub fn of_requests(simulation: &Simulation, policy: &Policy, samples: &mut Samples) -> Result<()> {
    let mut engine = traffic::engine(policy);
    let mut counts: BTreeMap<usize, u64> = BTreeMap::new();
    simulation.run(policy, |exchange| {
        judge(&mut engine, policy, &exchange);
        let count = counts.entry(exchange.account).or_default();
        *count += 1;
        let group = simulation.group(exchange.who);
        // What a harvester's account sends in between for others is not harvesting.
        if !is_sampled(*count) || group.harvest != exchange.harvests {
            return;
        }
        if let Some(values) = engine.values(exchange.observation, policy, exchange.time) {
            let campaign = samples.campaign(&group.name);
            samples.add(campaign, group.harvest, values.to_vec());
        }
    })
}

/// The highest log-odds that each honest group of callers, and each honest caller, ever reached.
#[derive(Default)]
pub struct Honest {
    /// Of groups with enough members.
    pub clusters: Vec<f64>,
    /// Of callers.
    pub callers: Vec<f64>,
}

/// Adds what honest groups and callers reach under a policy.
pub fn of_honest(simulation: &Simulation, policy: &Policy, honest: &mut Honest) -> Result<()> {
    let mut engine = traffic::engine(policy);
    let mut clusters: HashMap<u64, (f64, bool)> = HashMap::new();
    let mut callers: BTreeMap<usize, f64> = BTreeMap::new();
    simulation.run(policy, |exchange| {
        judge(&mut engine, policy, &exchange);
        let harvest = simulation.group(exchange.who).harvest;
        for (_, id) in cluster::groups(&shared(exchange.observation)) {
            let group = engine.memory().groups().get(id);
            let Some(log_odds) = group.and_then(|group| cluster::log_odds(group, &policy.model.clusters)) else { continue };
            let (highest, is_honest) = clusters.entry(id).or_insert((f64::MIN, true));
            *highest = highest.max(log_odds.into());
            *is_honest &= !harvest;
        }
        if let Some(actor) = engine.memory().actors().get(exchange.observation.subject().id).filter(|_| !harvest) {
            let log_odds = f64::from(policy.model.requests.bias + actor.evidence.log_odds());
            let highest = callers.entry(exchange.account).or_insert(f64::MIN);
            *highest = highest.max(log_odds);
        }
    })?;
    honest.clusters.extend(clusters.into_values().filter(|(_, is_honest)| *is_honest).map(|(highest, _)| highest));
    honest.callers.extend(callers.into_values());
    Ok(())
}

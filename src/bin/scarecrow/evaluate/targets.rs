//! What is to be reached, and what others reached.

use super::Measured;

/// One target with what was reached.
#[derive(Debug, serde::Serialize)]
pub struct Target {
    /// What is measured.
    pub what: String,
    /// What is to be reached.
    pub target: String,
    /// What was.
    pub reached: String,
    /// Whether that is enough.
    pub is_met: bool,
}

/// Harvesters to catch: what, in which scenario, of which campaign (all if empty), the share of actors, and the share of their
/// tokens that they may take before.
const CATCH: [(&str, &str, &str, f64, f64); 4] = [
    ("single-account campaigns", "single", "", 0.99, 0.02),
    ("hydra clusters, each key under any sane rate limit", "hydra", "", 0.95, 0.05),
    ("slow and low", "slow", "", 0.90, 0.05),
    ("accounts that mix in 70 % honest traffic", "relay", "relay 70 %", 0.90, 1.0),
];
/// Honest actors that may be touched: of all, and of any kind.
const TOUCHED: (f64, f64) = (0.001, 0.005);
/// The area under the ROC curve on the hard mix.
const AREA: f64 = 0.995;

/// Figures of a detector on query windows (arXiv 2606.05725, its tables and repository) and of others that it was compared with.
pub const PUBLISHED: [[&str; 4]; 6] = [
    ["MMD, embeddings", "window of 1,500 queries, pure attackers", "100 %", "0.3 %"],
    ["MMD, embeddings", "window of 1,500 queries, mean over mixes of 5 to 50 %", "90.5 %", "0.3 %"],
    ["MMD, embeddings", "window of 1,500 queries, 10 % mixed in", "91 to 95 %", "0 to 0.6 %"],
    ["MMD, embeddings", "window of 100 queries, 10 % mixed in", "4.6 %", ""],
    ["PRADA, adapted to texts", "window of 1,500 queries", "46.6 to 51.3 %", "3.4 to 9.9 %"],
    ["SEAT, adapted to texts", "window of 1,500 queries", "74.3 to 79.9 %", "10.0 to 17.7 %"],
];

/// The targets for which there are scenarios among those measured.
pub fn all(measured: &[Measured]) -> Vec<Target> {
    let mut targets = Vec::new();
    let find = |name: &str| measured.iter().find(|measured| measured.scenario == name);
    for (what, scenario, campaign, share, leak) in CATCH {
        let Some(measured) = find(scenario) else { continue };
        let figures = measured.tally.figures(0, |name| campaign.is_empty() || name == campaign);
        let caught = figures.caught as f64 / figures.harvest.max(1) as f64;
        let before = if leak < 1.0 { format!(", before {} of their tokens", percent(leak)) } else { String::new() };
        targets.push(Target {
            what: what.to_owned(),
            target: format!("at least {}{before}", percent(share)),
            reached: format!(
                "{} ({} of {}), before {}",
                percent(caught),
                figures.caught,
                figures.harvest,
                percent(figures.leaked)
            ),
            is_met: caught >= share && figures.leaked <= leak,
        });
    }
    let (mut honest, mut touched, mut worst) = (0, 0, (0.0, String::new()));
    for measured in measured {
        for (kind, (actors, of)) in measured.tally.kinds(0) {
            honest += actors;
            touched += of;
            let share = of as f64 / actors as f64;
            if share > worst.0 {
                worst = (share, format!("{kind} in {}", measured.scenario));
            }
        }
    }
    if honest > 0 {
        let share = touched as f64 / honest as f64;
        let of = if worst.1.is_empty() { "no kind".to_owned() } else { format!("{}: {}", worst.1, percent(worst.0)) };
        targets.push(Target {
            what: "honest actors ever throttled or rejected".to_owned(),
            target: format!("at most {}, of no kind more than {}", percent(TOUCHED.0), percent(TOUCHED.1)),
            reached: format!("{} ({touched} of {honest}); {of}", percent(share)),
            is_met: share <= TOUCHED.0 && worst.0 <= TOUCHED.1,
        });
    }
    if let Some(mix) = find("mix") {
        let areas: Vec<f64> =
            (0..mix.detectors.len()).filter_map(|index| mix.tally.figures(index, |_| true).auc).collect();
        let own = areas.first().copied().unwrap_or(0.0);
        let best = areas.iter().skip(1).copied().fold(0.0, f64::max);
        targets.push(Target {
            what: "ROC area by actor on the hard mix".to_owned(),
            target: format!("at least {AREA}, and above every baseline"),
            reached: format!("{own:.4}; the best baseline {best:.4}"),
            is_met: own >= AREA && own > best,
        });
    }
    targets
}

/// A share as a person writes it.
fn percent(share: f64) -> String {
    format!("{} %", (share * 1e4).round() / 1e2)
}

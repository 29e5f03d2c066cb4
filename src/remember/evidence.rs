//! Evidence: what many requests say together.

use super::decay::{Elapsed, HALF_LIVES};
use super::merge::Merge;

/// A mean of log-odds over about a day's requests, in which requests that look like harvesting weigh more than the
/// others, up to sixteen times. Merges by addition.
///
/// A plain mean would let a harvester hide in its own honest traffic: at three requests in ten it would see three
/// tenths of the evidence, and this mean nine tenths. A maximum would let one odd request decide; here as many
/// requests without any evidence are imagined as the prior says, so that it takes a few. What it cannot do is
/// to tell a person who asks one odd question in ten from a harvester who hides one in ten.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Evidence {
    pub(super) weighted: f32,
    pub(super) weight: f32,
}

/// How much more a request weighs that looks like harvesting at odds of [`HEAVY`] or more.
const HEAVIEST: f32 = 16.0;
/// Log-odds up to which a request weighs 1, and those from which on it weighs the most: 1 to 20, and 150 to 1.
const LIGHT: f32 = -3.0;
const HEAVY: f32 = 5.0;
/// Requests without evidence that are imagined, each of the heaviest weight.
const PRIOR: f32 = 3.0 * HEAVIEST;

/// Log-odds below which evidence is noise.
const NOISE: f32 = 0.5;

/// What a request weighs, by its log-odds.
fn weight(log_odds: f32) -> f32 {
    1.0 + (HEAVIEST - 1.0) * ((log_odds - LIGHT) / (HEAVY - LIGHT)).clamp(0.0, 1.0)
}

impl Evidence {
    /// Adds a request: its log-odds above the model's bias, and its log-odds with the bias.
    pub fn add(&mut self, above: f32, log_odds: f32) {
        let weight = weight(log_odds);
        self.weight += weight;
        self.weighted += weight * above;
    }

    /// So many requests that say the same.
    #[must_use]
    pub fn of(above: f32, log_odds: f32, requests: f32) -> Self {
        let weight = requests * weight(log_odds);
        Self { weighted: weight * above, weight }
    }

    /// The mean: log-odds above the model's bias.
    #[must_use]
    pub fn log_odds(&self) -> f32 {
        self.weighted / (self.weight + PRIOR)
    }

    /// Seconds until what is left of it is noise; 0 if it is.
    #[must_use]
    pub fn fades_in(&self) -> f64 {
        // By then a share of both sums is left: share * weighted / (share * weight + PRIOR) = NOISE.
        let excess = self.weighted - NOISE * self.weight;
        let [.., day] = HALF_LIVES;
        if excess > NOISE * PRIOR { day * f64::from((excess / (NOISE * PRIOR)).log2()) } else { 0.0 }
    }
}

impl Merge for Evidence {
    fn age(&mut self, elapsed: &Elapsed) {
        self.weighted *= elapsed.left_of_day();
        self.weight *= elapsed.left_of_day();
    }

    fn merge(&mut self, other: &Self) {
        self.weighted += other.weighted;
        self.weight += other.weight;
    }
}

/// The evidence against an actor, and how much of it is loose: what others may have brought upon it, who share its network or its
/// software. Merges by addition.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Suspicion {
    /// All of it.
    pub evidence: Evidence,
    pub(super) loose: f32,
}

impl Suspicion {
    /// Adds a request: its firm and its loose log-odds above the model's bias, and the bias.
    pub fn add(&mut self, firm: f32, loose: f32, bias: f32) {
        let above = firm + loose;
        self.evidence.add(above, bias + above);
        self.loose += weight(bias + above) * loose;
    }

    /// The mean of the firm evidence: log-odds above the model's bias. No requests are imagined here: of all the evidence enough has
    /// to be there before this is asked, and it tells what of it holds.
    #[must_use]
    pub fn firm_log_odds(&self) -> f32 {
        (self.evidence.weighted - self.loose) / self.evidence.weight.max(1.0)
    }
}

impl Merge for Suspicion {
    fn age(&mut self, elapsed: &Elapsed) {
        self.evidence.age(elapsed);
        self.loose *= elapsed.left_of_day();
    }

    fn merge(&mut self, other: &Self) {
        self.evidence.merge(&other.evidence);
        self.loose += other.loose;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BIAS: f32 = -4.0;

    /// The evidence of requests with so much above the bias each.
    fn of(requests: impl IntoIterator<Item = f32>) -> f32 {
        let mut evidence = Evidence::default();
        for above in requests {
            evidence.add(above, BIAS + above);
        }
        evidence.log_odds()
    }

    #[test]
    fn one_odd_request_does_not_decide_and_a_habit_does() {
        assert!(of([9.0]) < 2.5);
        assert!(of([9.0; 4]) > 4.0);
        assert!(of([9.0; 40]) > 8.0);
    }

    #[test]
    fn honest_requests_between_do_not_hide_a_habit() {
        let mixed = (0..100).map(|i| if i % 10 < 3 { 9.0 } else { 0.0 });
        assert!(of(mixed) > 6.0);
        let odd = (0..100).map(|i| if i % 100 == 3 { 9.0 } else { 0.0 });
        assert!(of(odd) < 2.0);
    }

    #[test]
    fn loose_evidence_is_told_apart() {
        let mut suspicion = Suspicion::default();
        for _ in 0..40 {
            suspicion.add(2.0, 7.0, BIAS);
        }
        assert!(suspicion.evidence.log_odds() > 8.0);
        assert!((1.99..2.01).contains(&suspicion.firm_log_odds()));
    }

    #[test]
    fn it_fades_with_silence() {
        let mut evidence = Evidence::default();
        for _ in 0..10 {
            evidence.add(9.0, 5.0);
        }
        let before = evidence.log_odds();
        evidence.age(&Elapsed::new(7.0 * 86_400.0));
        assert!(evidence.log_odds() < before / 20.0);
    }

    #[test]
    fn evidence_is_noise_once_it_has_faded_and_not_before() {
        for (above, requests) in [(2.0, 20.0), (9.0, 4.0), (9.0, 5_000.0), (0.6, 1e6)] {
            let evidence = Evidence::of(above, BIAS + above, requests);
            let left_after = |seconds: f64| {
                let mut evidence = evidence;
                evidence.age(&Elapsed::new(seconds));
                evidence.log_odds()
            };
            let seconds = evidence.fades_in();
            assert!((left_after(seconds) - NOISE).abs() < 0.01, "{above} {requests}: {seconds}");
            assert!(left_after(seconds - 3_600.0) > NOISE);
        }
        for (above, requests) in [(9.0, 0.0), (2.0, 1.0), (0.4, 1e6), (-3.0, 1e6)] {
            assert_eq!(Evidence::of(above, BIAS + above, requests).fades_in(), 0.0, "{above} {requests}");
        }
    }
}

//! Throttling by the generic cell rate algorithm (ITU-T I.371): one number per caller, and an exact Retry-After.

use crate::judge::Score;
use crate::remember::Debt;

/// The rate that a throttled caller is held to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Throttle {
    /// Requests per minute at the score where throttling begins.
    pub requests_per_minute: f64,
    /// Requests that may come at once at the score where throttling begins; fewer as the rate falls.
    pub burst: f64,
    /// The longest wait to ask for, in seconds; a caller whose rate is lower than that is asked again.
    pub longest_wait: f64,
}

/// What sums of intervals may be off by, as a share of one: a float holds seven digits, and a burst a hundred intervals.
const ROUNDING: f64 = 1e-3;
/// Of the rate, how much is left at a score of 100; in between it falls in a straight line.
const TIGHTEST: f64 = 0.25;

impl Throttle {
    /// What letting one request through adds to the caller's debt, or how many whole seconds it has to wait.
    ///
    /// `debt` stands at the time of the request. It grows only when a request is let through, so that impatience does not
    /// prolong the wait.
    pub fn admit(&self, debt: Debt, score: Score, start: Score) -> Result<Debt, u32> {
        let loosest = 60.0 / self.requests_per_minute;
        let interval = loosest / tightness(score, start);
        // The bucket holds a burst of the loosest intervals, so that a score that rises never lets more through; up to half an
        // interval may be missing, so that a score a little above the step costs nobody a request of the burst.
        let tolerance = (loosest * self.burst - interval / 2.0).max(0.0);
        let excess = f64::from(debt.0) - tolerance;
        if excess > ROUNDING * interval.max(1.0) {
            return Err(excess.min(self.longest_wait).ceil().max(1.0) as u32);
        }
        Ok(Debt(interval as f32))
    }
}

fn tightness(score: Score, start: Score) -> f64 {
    let span = f64::from(100.0 - start.value()).max(1.0);
    let above = f64::from(score.value() - start.value()).clamp(0.0, span);
    1.0 - (1.0 - TIGHTEST) * above / span
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::remember::{Elapsed, Merge};
    use proptest::prelude::*;

    const THROTTLE: Throttle = Throttle { requests_per_minute: 30.0, burst: 5.0, longest_wait: 60.0 };

    /// A caller that is held at a score.
    struct Caller {
        debt: Debt,
        throttle: Throttle,
        score: Score,
    }

    impl Caller {
        fn new(score: f32) -> Self {
            Self { debt: Debt::default(), throttle: THROTTLE, score: Score::new(score) }
        }

        fn ask(&mut self, seconds_later: f64) -> Option<u32> {
            self.debt.age(&Elapsed::new(seconds_later));
            match self.throttle.admit(self.debt, self.score, Score::new(75.0)) {
                Ok(more) => {
                    self.debt.merge(&more);
                    None
                }
                Err(wait) => Some(wait),
            }
        }
    }

    fn admitted(score: f32, every_seconds: f64, requests: u32) -> u32 {
        let mut caller = Caller::new(score);
        (0..requests).filter(|_| caller.ask(every_seconds).is_none()).count() as u32
    }

    #[test]
    fn a_burst_passes_and_then_the_rate_holds() {
        assert_eq!(admitted(75.0, 0.0, 100), 5);
        // One a second for a minute against 30 a minute: the burst, and one every two seconds.
        assert_eq!(admitted(75.0, 1.0, 61), 5 + 30);
        assert_eq!(admitted(75.0, 2.0, 100), 100);
    }

    #[test]
    fn a_higher_score_is_held_tighter() {
        assert!(admitted(100.0, 1.0, 61) < admitted(90.0, 1.0, 61));
        assert!(admitted(90.0, 1.0, 61) < admitted(75.0, 1.0, 61));
    }

    #[test]
    fn a_score_that_rises_lets_nobody_in_who_was_held_before() {
        let mut caller = Caller::new(75.0);
        while caller.ask(0.0).is_none() {}
        for score in 76..=100 {
            caller.score = Score::new(score as f32);
            assert!(caller.ask(0.0).is_some(), "{score}");
        }
    }

    #[test]
    fn a_rate_below_the_longest_wait_still_holds() {
        let throttle = Throttle { requests_per_minute: 1.0, burst: 2.0, longest_wait: 10.0 };
        let mut slow = Caller { throttle, ..Caller::new(75.0) };
        assert_eq!([0.0; 4].map(|later| slow.ask(later)), [None, None, Some(10), Some(10)]);
    }

    proptest! {
        #[test]
        fn whoever_waits_as_told_is_let_in(score in 75.0f32..100.0, impatience in 1usize..20) {
            let mut caller = Caller::new(score);
            for _ in 0..50 {
                for _ in 0..impatience {
                    if let Some(wait) = caller.ask(0.0) {
                        prop_assert_eq!(caller.ask(wait.into()), None);
                    }
                }
            }
        }
    }
}

//! Throttling by the generic cell rate algorithm (ITU-T I.371): one time per caller, and an exact Retry-After.

use crate::judge::Score;
use crate::remember::Time;

/// The rate that a throttled caller is held to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Throttle {
    /// Requests per minute at the score where throttling begins.
    pub requests_per_minute: f64,
    /// Requests that may come at once.
    pub burst: f64,
    /// The longest wait to ask for, in seconds; a caller whose rate is lower than that is asked again.
    pub longest_wait: f64,
}

/// Seconds that sums of intervals may be off by.
const ROUNDING: f64 = 1e-6;
/// Of the rate, how much is left at a score of 100; in between it falls in a straight line.
const TIGHTEST: f64 = 0.25;

impl Throttle {
    /// Lets one request through and returns `None`, or returns how many whole seconds to wait.
    ///
    /// `next_due` is the caller's state; it moves only when a request is let through, so that impatience does not
    /// prolong the wait.
    pub fn admit(&self, next_due: &mut Time, now: Time, score: Score, start: Score) -> Option<u32> {
        let interval_at = |tightness: f64| 60.0 / (self.requests_per_minute * tightness);
        let interval = interval_at(tightness(score, start));
        let tolerance = interval * (self.burst - 1.0).max(0.0);
        let debt = next_due.seconds_since(now);
        if debt > self.burst * interval_at(TIGHTEST) + ROUNDING {
            // Further ahead than any request could have put it: the clock has stepped back.
            *next_due = now;
        } else if debt > tolerance + ROUNDING {
            return Some((debt - tolerance).min(self.longest_wait).ceil().max(1.0) as u32);
        }
        *next_due = (*next_due).max(now).plus_seconds(interval);
        None
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
    use proptest::prelude::*;

    const START: Time = Time(1_700_000_000_000_000_000);
    const THROTTLE: Throttle = Throttle { requests_per_minute: 30.0, burst: 5.0, longest_wait: 60.0 };

    fn admitted(score: f32, every_seconds: f64, requests: u32) -> u32 {
        let (mut due, start) = (Time::default(), Score::new(75.0));
        let admit = |i| {
            let now = START.plus_seconds(f64::from(i) * every_seconds);
            THROTTLE.admit(&mut due, now, Score::new(score), start).is_none()
        };
        (0..requests).map(admit).filter(|&admitted| admitted).count() as u32
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
    fn a_rate_below_the_longest_wait_still_holds() {
        let slow = Throttle { requests_per_minute: 1.0, burst: 2.0, longest_wait: 10.0 };
        let (mut due, start) = (Time::default(), Score::new(0.0));
        let mut admit = || slow.admit(&mut due, START, Score::new(5.0), start);
        assert_eq!([admit(), admit(), admit(), admit()], [None, None, Some(10), Some(10)]);
    }

    #[test]
    fn a_clock_far_ahead_does_not_lock_a_caller_out() {
        let mut due = START.plus_seconds(86_400.0);
        assert_eq!(THROTTLE.admit(&mut due, START, Score::new(80.0), Score::new(75.0)), None);
    }

    proptest! {
        #[test]
        fn whoever_waits_as_told_is_let_in(score in 75.0f32..100.0, impatience in 1usize..20) {
            let (mut due, start, score) = (Time::default(), Score::new(75.0), Score::new(score));
            let mut now = START;
            for _ in 0..50 {
                for _ in 0..impatience {
                    if let Some(wait) = THROTTLE.admit(&mut due, now, score, start) {
                        now = now.plus_seconds(f64::from(wait));
                        prop_assert_eq!(THROTTLE.admit(&mut due, now, score, start), None);
                    }
                }
            }
        }
    }
}

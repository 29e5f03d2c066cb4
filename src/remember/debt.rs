//! Debt: what a throttled caller has to work off.

use super::decay::Elapsed;
use super::merge::Merge;

/// Seconds that a caller's requests are ahead of the rate that it is held to: the level of GCRA's leaky bucket (ITU-T
/// I.371), which falls by a second a second.
///
/// Merges by addition, so that several workers hold a caller to one rate. What each has added leaks on each side while it
/// is on its way: workers that share a caller let through more by what leaks in the time between two exchanges, and no more.
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd)]
pub struct Debt(pub f32);

impl Merge for Debt {
    fn age(&mut self, elapsed: &Elapsed) {
        self.0 = (self.0 - elapsed.seconds as f32).max(0.0);
    }

    fn merge(&mut self, other: &Self) {
        self.0 += other.0;
    }
}

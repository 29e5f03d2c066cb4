//! Points in time.

/// Nanoseconds since the Unix epoch, as the host gives them. Zero means never.
///
/// The host's clock may step. All arithmetic saturates, and whoever compares two times decides what a step
/// backwards means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(pub u64);

impl Time {
    /// The time that many seconds later; stays at the end of time.
    #[must_use]
    pub fn plus_seconds(self, seconds: f64) -> Self {
        // A cast from float to integer saturates, and takes a negative or undefined number for zero.
        Self(self.0.saturating_add((seconds * 1e9) as u64))
    }

    /// Seconds since `earlier`; zero if that lies ahead.
    #[must_use]
    pub fn seconds_since(self, earlier: Self) -> f64 {
        self.0.saturating_sub(earlier.0) as f64 / 1e9
    }

    /// Whole hours since the epoch.
    #[must_use]
    pub fn hour(self) -> u64 {
        self.0 / 3_600_000_000_000
    }

    /// Whether this is a time at all.
    #[must_use]
    pub fn is_set(self) -> bool {
        self.0 != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_saturates() {
        let start = Time(5_000_000_000);
        assert_eq!(start.plus_seconds(1.5).seconds_since(start), 1.5);
        assert_eq!(start.seconds_since(start.plus_seconds(9.0)), 0.0);
        assert_eq!(start.plus_seconds(-1.0), start);
        assert_eq!(start.plus_seconds(f64::NAN), start);
        assert_eq!(start.plus_seconds(1e300), Time(u64::MAX));
    }
}

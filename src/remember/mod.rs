//! Remember: a bounded table of principals, each with a record of fixed size.
//!
//! Nothing here grows with traffic, and nothing reads a clock: time is an argument.
#![forbid(unsafe_code)]

pub mod decay;
pub mod habits;
pub mod hours;
pub mod intervals;
pub mod record;
pub mod table;
pub mod time;
pub mod variety;
pub mod waits;

pub use decay::{Elapsed, Rates};
pub use habits::{Habit, Habits};
pub use record::Record;
pub use table::{Table, TableEvents};
pub use time::Time;

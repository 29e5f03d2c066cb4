//! Judge: an observation and what is remembered become a [`Verdict`].
#![forbid(unsafe_code)]

pub mod action;
pub mod features;
pub mod model;
pub mod verdict;

pub use action::{Action, Step, Steps};
pub use features::{Evidence, Facts, Feature};
pub use model::{Contributions, Model, ModelError};
pub use verdict::{Reason, Reasons, Score, Verdict};

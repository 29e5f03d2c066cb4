//! Judge: an observation and what is remembered become a [`Verdict`].
#![forbid(unsafe_code)]

pub mod action;
pub mod cluster;
pub mod evidence;
pub mod features;
pub mod fleet;
pub mod model;
pub mod verdict;
pub mod watchlist;

pub use action::{Action, Step, Steps};
pub use cluster::{CLUSTER_FEATURES, Cluster, Inherited};
pub use evidence::{Grounds, Weighed};
pub use features::{Evidence, FEATURES, Facts, Feature};
pub use fleet::Reinforcement;
pub use model::{Contributions, Model, ModelError, log_odds, probability};
pub use verdict::{Reason, Reasons, Score, Verdict};
pub use watchlist::{Match, Watch, Watchlist};

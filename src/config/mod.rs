//! Config: the operator's policy, checked against one table of fields.
//!
//! The table in [`schema`] is the only source of names, defaults, ranges and documentation: the checks, the
//! reference in the documentation and the JSON schema all come from it.
#![forbid(unsafe_code)]

pub mod check;
mod filled;
pub mod nearest;
pub mod policy;
pub mod schema;
mod sharing;

pub use check::{Problem, Problems};
pub use policy::{Exemption, Policy};

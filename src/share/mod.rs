//! Share: what leaves the filter about its verdicts, and under which names; and what workers tell each other.
//!
//! Only hashes, names from this crate's own tables and numbers may leave; never text from a request.
#![forbid(unsafe_code)]

pub mod audit;
pub mod broadcast;
pub mod delta;
pub mod disclosure;
pub mod feed;
pub mod fields;
pub mod finding;
pub mod journal;
pub mod library;
pub mod metrics;
pub mod stix;
pub mod teller;

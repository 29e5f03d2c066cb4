//! Share: what leaves the filter about its verdicts, and under which names.
//!
//! Only hashes, names from this crate's own tables and numbers may leave; never text from a request.
#![forbid(unsafe_code)]

pub mod fields;
pub mod metrics;

//! The score's weights: a versioned `model.json`, compiled in and replaceable by configuration.

use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt;

use super::features::{COUNT, FEATURES, Facts};

/// The weights that a build carries.
const BUILT_IN: &str = include_str!("model.json");

/// `model.json` as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    version: u32,
    name: String,
    #[allow(dead_code, reason = "for the reader of the file")]
    provenance: String,
    bias: f32,
    weights: BTreeMap<String, f32>,
}

/// The format that this build reads.
const VERSION: u32 = 1;

/// A logistic model: log-odds = bias + Σ weight × feature.
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    /// The name that tells one model from another in reports.
    pub name: String,
    /// Log-odds of harvesting before anything is known.
    pub bias: f32,
    weights: [f32; COUNT],
}

/// What is wrong with a `model.json`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelError {
    /// Where: `weights.contradictions`. Empty for the file as a whole.
    pub path: String,
    /// What, and what would be right.
    pub message: String,
}

impl fmt::Display for ModelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let separator = if self.path.is_empty() { "" } else { ": " };
        write!(f, "{}{separator}{}", self.path, self.message)
    }
}

impl std::error::Error for ModelError {}

fn wrong(path: impl Into<String>, message: String) -> ModelError {
    ModelError { path: path.into(), message }
}

/// What each feature added to the log-odds of one request, in the order of the feature table.
pub type Contributions = [f32; COUNT];

impl Model {
    /// Reads a `model.json`. The error says what is wrong and what would be right.
    pub fn parse(json: &str) -> Result<Self, ModelError> {
        let file: File = serde_json::from_str(json).map_err(|error| wrong("", error.to_string()))?;
        if file.version != VERSION {
            return Err(wrong("version", format!("{} is not known; this build reads {VERSION}", file.version)));
        }
        let mut weights = [0.0; COUNT];
        for (name, weight) in &file.weights {
            let known = FEATURES.iter().zip(&mut weights).find(|(feature, _)| feature.name == name);
            let Some((_, slot)) = known else {
                let known = FEATURES.map(|feature| feature.name).join(", ");
                return Err(wrong(format!("weights.{name}"), format!("is not a feature; known are {known}")));
            };
            *slot = bounded(&format!("weights.{name}"), *weight)?;
        }
        Ok(Self { name: file.name, bias: bounded("bias", file.bias)?, weights })
    }

    /// The model compiled in.
    #[must_use]
    pub fn built_in() -> Self {
        // A test parses the same text, so the neutral model below is never used.
        Self::parse(BUILT_IN).unwrap_or_else(|_| Self { name: String::new(), bias: 0.0, weights: [0.0; COUNT] })
    }

    /// The weights, in the order of the feature table.
    #[must_use]
    pub fn weights(&self) -> [f32; COUNT] {
        self.weights
    }

    /// What each feature contributes to this request's log-odds.
    #[must_use]
    pub fn contributions(&self, facts: &Facts<'_>) -> Contributions {
        let mut contributions = [0.0; COUNT];
        let rows = contributions.iter_mut().zip(&FEATURES).zip(&self.weights);
        for ((contribution, feature), &weight) in rows {
            if weight != 0.0 {
                *contribution = weight * (feature.read)(facts);
            }
        }
        contributions
    }

    /// 0 to 1 from log-odds above the bias.
    #[must_use]
    pub fn probability(&self, evidence: f32) -> f32 {
        1.0 / (1.0 + (-(self.bias + evidence)).exp())
    }
}

/// Weights beyond this decide alone whatever else is known; they are mistakes.
const LARGEST: f32 = 20.0;

fn bounded(path: &str, value: f32) -> Result<f32, ModelError> {
    if value.abs() <= LARGEST {
        Ok(value)
    } else {
        Err(wrong(path, format!("{value} is not a weight; use -{LARGEST} to {LARGEST}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_model_compiled_in_weighs_every_feature() {
        let model = Model::parse(BUILT_IN).unwrap();
        for (feature, weight) in FEATURES.iter().zip(model.weights) {
            assert!(weight != 0.0, "{} has no weight", feature.name);
        }
        assert!(model.probability(0.0) < 0.05, "a stranger is no suspect");
    }

    #[test]
    fn a_bad_model_is_refused_by_name() {
        for (json, message) in [
            (
                r#"{"version":2,"name":"m","provenance":"","bias":0,"weights":{}}"#,
                "version: 2 is not known; this build reads 1",
            ),
            (
                r#"{"version":1,"name":"m","provenance":"","bias":99,"weights":{}}"#,
                "bias: 99 is not a weight; use -20 to 20",
            ),
            (
                r#"{"version":1,"name":"m","provenance":"","bias":0,"weights":{"x":1}}"#,
                "weights.x: is not a feature; known are requests_per_minute,",
            ),
            ("{", "EOF"),
        ] {
            let error = Model::parse(json).unwrap_err().to_string();
            assert!(error.starts_with(message), "{error}");
        }
    }
}

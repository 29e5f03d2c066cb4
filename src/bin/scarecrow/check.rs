//! `scarecrow check`

use anyhow::Result;
use scarecrow::config::Problem;
use scarecrow::config::check::{self, Place};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::ExitCode;

use crate::documents;

/// Check policies, alone or inside Envoy configurations and manifests
///
/// Says the same as the filter says when Envoy loads it (`envoy --mode validate` runs that check too), and warns of
/// settings around the filter that stand in its policy's way.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  scarecrow check policy.yaml\n  scarecrow check envoy/*.yaml --json")]
pub struct Arguments {
    /// Policies (YAML or JSON), Envoy configurations, or manifests of Istio and Envoy Gateway
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Print one JSON object: {"problems": [{"file", "path", "message"}], "warnings": the same, "policies": N}
    #[arg(long)]
    json: bool,
}

pub fn run(arguments: &Arguments) -> Result<ExitCode> {
    let mut problems: Vec<(String, Problem)> = Vec::new();
    let mut warnings: Vec<(String, Problem)> = Vec::new();
    let mut policies = 0;
    for file in &arguments.files {
        let document = documents::read(file)?;
        let name = file.display().to_string();
        let found = documents::policies(&document).map_err(|error| error.context(name.clone()))?;
        for policy in found {
            policies += 1;
            let around = policy.warnings().into_iter();
            warnings.extend(around.map(|(path, message)| (name.clone(), Problem { path: path.to_owned(), message })));
            let place = if policy.is_route { Place::Route } else { Place::Filter };
            problems.extend(check::check(&policy.policy, place).into_iter().map(|problem| (name.clone(), problem)));
        }
    }
    if arguments.json {
        let list = |problems: &[(String, Problem)]| -> Value {
            let object = |(file, problem): &(String, Problem)| json!({"file": file, "path": problem.path, "message": problem.message});
            problems.iter().map(object).collect()
        };
        let report = json!({"problems": list(&problems), "warnings": list(&warnings), "policies": policies});
        crate::print(&crate::pretty(&report))?;
    } else {
        for (file, problem) in &problems {
            anstream::eprintln!("{file}: {problem}");
        }
        for (file, warning) in &warnings {
            anstream::eprintln!("{file}: warning: {warning}");
        }
        if problems.is_empty() {
            let noun = if policies == 1 { "policy is" } else { "policies are" };
            crate::print(&format!("{policies} {noun} valid\n"))?;
        }
    }
    Ok(if problems.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

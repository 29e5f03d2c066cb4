//! `scarecrow share review`

use anyhow::{Context, Result};
use scarecrow::share::stix::document;
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::ExitCode;

use crate::report::table;

/// Show what the sharing service holds for a person's consent
///
/// Reads Envoy's log, in which the service writes each finding that is sure enough to be looked at and not sure enough to be
/// told by itself. To consent, put its identifier under disclosure.approved; to refuse, under disclosure.withdrawn.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  scarecrow share review /var/log/envoy.log
  scarecrow share review /var/log/envoy.log* --json | jq '.[].pattern'
  kubectl logs deploy/gateway | scarecrow share review -")]
pub struct Arguments {
    /// Logs of Envoy; - for standard input
    #[arg(required = true)]
    logs: Vec<PathBuf>,
    /// Print the objects as a JSON list
    #[arg(long)]
    json: bool,
}

/// What stands before an object in the log.
const MARK: &str = "scarecrow: held for review: ";

pub fn run(arguments: &Arguments) -> Result<ExitCode> {
    let mut held = BTreeMap::new();
    for log in &arguments.logs {
        let lines: Box<dyn BufRead> = if log.as_os_str() == "-" {
            Box::new(BufReader::new(std::io::stdin()))
        } else {
            let file = std::fs::File::open(log).with_context(|| format!("cannot read {}", log.display()))?;
            Box::new(BufReader::new(file))
        };
        for line in lines.split(b'\n') {
            let line = line.with_context(|| format!("cannot read {}", log.display()))?;
            let line = String::from_utf8_lossy(&line);
            let Some((_, object)) = line.split_once(MARK) else { continue };
            // A line that was cut holds no object.
            let _ = document::read_slice(object.trim().as_bytes(), |object| {
                let id = object.get("id").and_then(Value::as_str).unwrap_or_default().to_owned();
                held.insert(id, object);
            });
        }
    }
    if arguments.json {
        return crate::print(&crate::pretty(&held.into_values().collect::<Value>()));
    }
    if held.is_empty() {
        return crate::print("Nothing is held.\n");
    }
    let mut rows = table(&["indicator", "pattern", "confidence", "valid from"]);
    for (id, object) in &held {
        let field = |name: &str| match object.get(name) {
            Some(Value::String(text)) => text.clone(),
            Some(value) => value.to_string(),
            None => "-".to_owned(),
        };
        rows.add_row([id.clone(), field("pattern"), field("confidence"), field("valid_from")]);
    }
    crate::print(&format!(
        "{rows}\n\nTo consent, put identifiers under disclosure.approved; to refuse, under disclosure.withdrawn.\n"
    ))
}

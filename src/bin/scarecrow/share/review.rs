//! `scarecrow share review`

use anyhow::{Context, Result, bail};
use scarecrow::share::stix::document;
use scarecrow::share::{audit, finding};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::ExitCode;

use super::client::{Client, LoginArguments};
use crate::report::table;
use crate::traffic;

/// Show what the sharing service holds for a person's consent
///
/// Reads Envoy's log, in which the service writes each finding that is sure enough to be looked at and not sure enough to be
/// told by itself. To consent, name it with --approve: it is audited against the policy and added to the collection. Put its
/// identifier under disclosure.approved too, so that its later versions are told.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  scarecrow share review /var/log/envoy.log
  scarecrow share review /var/log/envoy.log --config policy.yaml --to https://hub.example.org/api/collections/… --basic-env HUB_LOGIN \\
    --approve indicator--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f
  scarecrow share review /var/log/envoy.log* --json | jq '.[].pattern'
  kubectl logs deploy/gateway | scarecrow share review -")]
pub struct Arguments {
    /// Logs of Envoy; - for standard input
    #[arg(required = true)]
    logs: Vec<PathBuf>,
    /// Print the objects as a JSON list
    #[arg(long)]
    json: bool,
    /// Consent to a finding, by its identifier
    #[arg(long, value_name = "ID", requires_all = ["to", "config"], conflicts_with = "json")]
    approve: Vec<String>,
    /// The URL of the collection that it is added to
    #[arg(long, value_name = "URL")]
    to: Option<String>,
    #[command(flatten)]
    login: LoginArguments,
    /// The policy whose disclosure it has to keep to
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
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
    if let Some(url) = arguments.to.as_deref().filter(|_| !arguments.approve.is_empty()) {
        return tell(arguments, &held, url);
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
    crate::print(&format!("{rows}\n\nTo consent, name them with --approve; see --help.\n"))
}

/// Adds what a person consents to to a collection.
fn tell(arguments: &Arguments, held: &BTreeMap<String, Value>, url: &str) -> Result<ExitCode> {
    let policy = traffic::policy(arguments.config.as_deref(), None)?;
    let mut objects = Vec::new();
    for id in &arguments.approve {
        let Some(object) = held.get(id) else { bail!("--approve {id}: is not held in these logs") };
        objects.push(object.clone());
    }
    objects.extend(finding::frame(&policy));
    let envelope = json!({ "objects": objects });
    if !audit::is_clean(&envelope, &policy.disclosure) {
        bail!("the policy does not allow what is held; `scarecrow share audit` says what of it");
    }
    Client::new(url, &arguments.login)?.post(&envelope.to_string())?;
    crate::print(&format!("told: {}\n", arguments.approve.join(", ")))
}

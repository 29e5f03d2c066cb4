//! Policies and Envoy configurations on disk.

use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::path::Path;

/// A policy found in a file.
pub struct Found {
    /// The policy.
    pub policy: Value,
    /// It is a route's metadata, which sets some fields over the filter's own.
    pub is_route: bool,
}

/// Reads YAML or JSON.
pub fn read(path: &Path) -> Result<Value> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    if text.trim().is_empty() {
        return Ok(Value::Object(serde_json::Map::new()));
    }
    serde_saphyr::from_str(&text).with_context(|| format!("{} is neither YAML nor JSON", path.display()))
}

/// The policies in a document: the document itself, or those of the Scarecrow filters in an Envoy configuration.
pub fn policies(document: &Value) -> Result<Vec<Found>> {
    if !is_envoy(document) {
        return Ok(vec![Found { policy: document.clone(), is_route: false }]);
    }
    let mut found = Vec::new();
    search(document, &mut found)?;
    if !found.iter().any(|policy| !policy.is_route) {
        bail!(
            "no Scarecrow filter in this Envoy configuration: a Wasm filter named scarecrow, or one that loads scarecrow.wasm"
        );
    }
    Ok(found)
}

/// Names that stand in Envoy configurations, whole or in part, and in no policy.
fn is_envoy(document: &Value) -> bool {
    const TELLING: [&str; 6] =
        ["static_resources", "dynamic_resources", "resources", "typed_config", "vm_config", "@type"];
    match document {
        Value::Array(items) => items.iter().any(is_envoy),
        Value::Object(object) => TELLING.iter().any(|name| object.contains_key(*name)),
        _ => false,
    }
}

fn search(value: &Value, found: &mut Vec<Found>) -> Result<()> {
    match value {
        Value::Array(items) => items.iter().try_for_each(|item| search(item, found)),
        Value::Object(object) => {
            if object.contains_key("vm_config") && is_ours(value) {
                found.push(Found { policy: configuration(object.get("configuration"))?, is_route: false });
                return Ok(());
            }
            if let Some(route) = value.pointer("/filter_metadata/scarecrow") {
                found.push(Found { policy: route.clone(), is_route: true });
            }
            object.values().try_for_each(|inner| search(inner, found))
        }
        _ => Ok(()),
    }
}

fn is_ours(plugin: &Value) -> bool {
    let text = |pointer: &str| plugin.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    text("/name") == "scarecrow"
        || text("/root_id") == "scarecrow"
        || ["local/filename", "remote/http_uri/uri"]
            .iter()
            .any(|place| text(&format!("/vm_config/code/{place}")).ends_with("scarecrow.wasm"))
}

/// What a plugin's `configuration` holds: a struct, or text with JSON in it.
fn configuration(any: Option<&Value>) -> Result<Value> {
    let Some(value) = any.and_then(|any| any.get("value")) else {
        return Ok(Value::Object(serde_json::Map::new()));
    };
    match value {
        Value::String(text) => serde_json::from_str(text).context("the filter's configuration is not JSON"),
        value => Ok(value.clone()),
    }
}

//! Policies and Envoy configurations on disk.

use anyhow::{Context, Result, bail};
use scarecrow::share::SERVICE;
use serde_json::Value;
use std::path::Path;

/// A policy found in a file.
pub struct Found {
    /// The policy.
    pub policy: Value,
    /// It is a route's metadata, which sets some fields over the filter's own.
    pub is_route: bool,
    /// What stands around it in an Envoy configuration.
    pub host: Option<Host>,
    /// What is wrong with its root id where it stands.
    root_id: Option<&'static str>,
}

/// What an Envoy configuration says about requests that wait for their verdict.
#[derive(Clone, Copy)]
pub struct Host {
    /// Whether bodies are handed over while headers wait.
    pub hands_over: HandsOver,
    /// The listener's buffer in bytes, where it is set.
    pub buffer: Option<u64>,
}

/// Whether bodies are handed over while headers wait.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum HandsOver {
    /// They are.
    Yes,
    /// They are not, and could be.
    No,
    /// There is no field to say it with.
    Never,
}

impl Found {
    /// Settings of Envoy's that stand in the policy's way, as path and message.
    pub fn warnings(&self) -> Vec<(&'static str, String)> {
        let mut warnings: Vec<_> = self.root_id.map(|message| ("root_id", message.to_owned())).into_iter().collect();
        let (Some(host), Some("enforce")) = (self.host, self.policy.get("mode").and_then(Value::as_str)) else {
            return warnings;
        };
        let budget = self.policy.pointer("/inspection/request_bytes").and_then(Value::as_u64).unwrap_or(BUDGET);
        let missing = match host.hands_over {
            HandsOver::Yes => None,
            HandsOver::No => {
                Some("is missing beside vm_config; use true, or requests are judged by their headers alone")
            }
            HandsOver::Never => Some(
                "cannot be set here; requests are judged by their headers, and by what was seen of their caller before",
            ),
        };
        if let Some(message) = missing.filter(|_| budget > 0) {
            warnings.push(("allow_on_headers_stop_iteration", message.to_owned()));
        }
        if let Some(buffer) = host.buffer.filter(|buffer| *buffer < budget) {
            warnings.push((
                "per_connection_buffer_limit_bytes",
                format!("{buffer} is less than inspection.request_bytes, {budget}; requests wait for no more than half of it"),
            ));
        }
        warnings
    }
}

/// The default of `inspection.request_bytes`.
const BUDGET: u64 = 262_144;

/// Reads YAML or JSON.
pub fn read(path: &Path) -> Result<Value> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    if text.trim().is_empty() {
        return Ok(Value::Object(serde_json::Map::new()));
    }
    serde_saphyr::from_str(&text).with_context(|| format!("{} is neither YAML nor JSON", path.display()))
}

/// The policies in a document: the document itself, or those of the Scarecrow filters in an Envoy configuration, in an `EnvoyFilter` or a
/// `WasmPlugin` of Istio's or in an `EnvoyExtensionPolicy` of Envoy Gateway's.
pub fn policies(document: &Value) -> Result<Vec<Found>> {
    if !is_envoy(document) {
        return Ok(vec![Found { policy: document.clone(), is_route: false, host: None, root_id: None }]);
    }
    let mut found = Vec::new();
    search(document, Around::default(), &mut found)?;
    if !found.iter().any(|policy| !policy.is_route) {
        bail!(
            "no Scarecrow filter in this Envoy configuration or manifest: a Wasm filter named scarecrow, or one that loads scarecrow.wasm"
        );
    }
    Ok(found)
}

/// Names that stand in Envoy configurations, whole or in part, and in no policy.
fn is_envoy(document: &Value) -> bool {
    const TELLING: [&str; 7] =
        ["static_resources", "dynamic_resources", "resources", "typed_config", "vm_config", "@type", "apiVersion"];
    match document {
        Value::Array(items) => items.iter().any(is_envoy),
        Value::Object(object) => TELLING.iter().any(|name| object.contains_key(*name)),
        _ => false,
    }
}

/// What stands around a value.
#[derive(Clone, Copy, Default)]
struct Around {
    /// The listener's buffer in bytes.
    buffer: Option<u64>,
    /// Whether the innermost extension is one of a filter chain, or else one of the process.
    is_filter: Option<bool>,
}

impl Around {
    fn and(self, object: &serde_json::Map<String, Value>) -> Self {
        let buffer = object.get("per_connection_buffer_limit_bytes").and_then(Value::as_u64);
        let kind = object.get("@type").and_then(Value::as_str).unwrap_or_default();
        let is_filter = match kind.rsplit('/').next() {
            Some("envoy.extensions.filters.http.wasm.v3.Wasm") => Some(true),
            Some("envoy.extensions.wasm.v3.WasmService") => Some(false),
            _ => None,
        };
        Self { buffer: buffer.or(self.buffer), is_filter: is_filter.or(self.is_filter) }
    }
}

fn search(value: &Value, around: Around, found: &mut Vec<Found>) -> Result<()> {
    match value {
        Value::Array(items) => items.iter().try_for_each(|item| search(item, around, found)),
        Value::Object(object) => {
            if object.contains_key("vm_config") && is_ours(value) {
                let is_set = object.get("allow_on_headers_stop_iteration") == Some(&Value::Bool(true));
                let hands_over = if is_set { HandsOver::Yes } else { HandsOver::No };
                let policy = configuration(object.get("configuration"))?;
                // The sharing service has a policy, and no requests.
                let is_service = object.get("root_id").and_then(Value::as_str) == Some(SERVICE);
                let host = (!is_service).then_some(Host { hands_over, buffer: around.buffer });
                let root_id = match (is_service, around.is_filter) {
                    (true, Some(true)) => Some(
                        "scarecrow-share is the sharing service's; without it this filter judges requests, with it all pass unread",
                    ),
                    (false, Some(false)) => {
                        Some("is not that of the sharing service; use scarecrow-share, or nothing is shared")
                    }
                    _ => None,
                };
                found.push(Found { policy, is_route: false, host, root_id });
                return Ok(());
            }
            if let Some(policy) = in_manifest(value) {
                let host = Some(Host { hands_over: HandsOver::Never, buffer: None });
                found.push(Found { policy, is_route: false, host, root_id: None });
                return Ok(());
            }
            if let Some(route) = value.pointer("/filter_metadata/scarecrow") {
                found.push(Found { policy: route.clone(), is_route: true, host: None, root_id: None });
            }
            let around = around.and(object);
            object.values().try_for_each(|inner| search(inner, around, found))
        }
        _ => Ok(()),
    }
}

/// The policy of a `WasmPlugin`'s spec, or of an `EnvoyExtensionPolicy`'s item, that loads us.
fn in_manifest(plugin: &Value) -> Option<Value> {
    const PLACES: [(&str, &str); 3] =
        [("/url", "pluginConfig"), ("/code/image/url", "config"), ("/code/http/url", "config")];
    let is_ours = |url: &Value| url.as_str().is_some_and(|url| url.contains("scarecrow"));
    let (_, field) = PLACES.iter().find(|(place, _)| plugin.pointer(place).is_some_and(is_ours))?;
    Some(plugin.get(*field).cloned().unwrap_or_else(|| Value::Object(serde_json::Map::new())))
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

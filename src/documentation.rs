//! Texts that describe fields and features.

/// The text, except in a Wasm module: the command prints it, and a module would carry it in vain.
#[must_use]
pub const fn documentation(text: &'static str) -> &'static str {
    if cfg!(target_arch = "wasm32") { "" } else { text }
}

//! Ollama's native API.

use super::{Dialect, Operation, Refusal, get, post};

pub(super) static DIALECT: Dialect = Dialect {
    name: "ollama",
    routes: &[
        post("/api/chat", Operation::Generate),
        post("/api/generate", Operation::Generate),
        post("/api/embed", Operation::Embed),
        post("/api/embeddings", Operation::Embed),
        get("/api/tags", Operation::Auxiliary),
    ],
    error,
};

fn error(_: Refusal, message: &str) -> String {
    serde_json::json!({"error": message}).to_string()
}

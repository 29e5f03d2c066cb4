//! Cohere's API.

use super::{Dialect, Operation, Refusal, post};

pub(super) static DIALECT: Dialect = Dialect {
    name: "cohere",
    routes: &[
        post("/v2/chat", Operation::Generate),
        post("/v1/chat", Operation::Generate),
        post("/v1/generate", Operation::Generate),
        post("/v2/embed", Operation::Embed),
        post("/v1/embed", Operation::Embed),
        post("/v2/rerank", Operation::Auxiliary),
        post("/v1/rerank", Operation::Auxiliary),
        post("/v1/tokenize", Operation::Auxiliary),
    ],
    error,
};

fn error(_: Refusal, message: &str) -> String {
    serde_json::json!({"message": message}).to_string()
}

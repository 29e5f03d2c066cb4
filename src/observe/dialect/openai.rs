//! OpenAI's API, on the paths of OpenAI, Azure OpenAI, Mistral, vLLM and the many that copy it.

use super::{Dialect, Operation, Refusal, get, post};

pub(super) static DIALECT: Dialect = Dialect {
    name: "openai",
    routes: &[
        post("/chat/completions", Operation::Generate),
        post("/completions", Operation::Generate),
        post("/responses", Operation::Generate),
        post("/embeddings", Operation::Embed),
        post("/v1/batches", Operation::Batch),
        post("/v1/files", Operation::Batch),
        post("/v1/moderations", Operation::Auxiliary),
        get("/v1/models", Operation::Auxiliary),
        get("/openai/models", Operation::Auxiliary),
    ],
    error,
};

fn error(refusal: Refusal, message: &str) -> String {
    let (kind, code) = match refusal {
        Refusal::Throttled => ("requests", "rate_limit_exceeded"),
        Refusal::Rejected => ("invalid_request_error", "permission_denied"),
    };
    serde_json::json!({"error": {"message": message, "type": kind, "param": null, "code": code}}).to_string()
}

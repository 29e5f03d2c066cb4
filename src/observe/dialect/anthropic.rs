//! Anthropic's Messages API.

use super::{Dialect, Operation, Refusal, get, post};

pub(super) static DIALECT: Dialect = Dialect {
    name: "anthropic",
    routes: &[
        post("/v1/messages", Operation::Generate),
        post("/v1/complete", Operation::Generate),
        post("/v1/messages/batches", Operation::Batch),
        post("/v1/messages/count_tokens", Operation::Auxiliary),
        get("/v1/messages/batches", Operation::Auxiliary),
    ],
    error,
};

fn error(refusal: Refusal, message: &str) -> String {
    let kind = match refusal {
        Refusal::Throttled => "rate_limit_error",
        Refusal::Rejected => "permission_error",
    };
    serde_json::json!({"type": "error", "error": {"type": kind, "message": message}}).to_string()
}

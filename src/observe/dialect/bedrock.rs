//! Amazon Bedrock's runtime API.

use super::{Dialect, Operation, Refusal, post};

pub(super) static DIALECT: Dialect = Dialect {
    name: "bedrock",
    routes: &[
        post("/converse", Operation::Generate),
        post("/converse-stream", Operation::Generate),
        post("/invoke", Operation::Generate),
        post("/invoke-with-response-stream", Operation::Generate),
        post("/model-invocation-job", Operation::Batch),
        post("/count-tokens", Operation::Auxiliary),
    ],
    error,
};

fn error(refusal: Refusal, message: &str) -> String {
    let kind = match refusal {
        Refusal::Throttled => "ThrottlingException",
        Refusal::Rejected => "AccessDeniedException",
    };
    serde_json::json!({"__type": kind, "message": message}).to_string()
}

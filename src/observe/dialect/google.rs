//! Google's Gemini API, on the paths of AI Studio and Vertex AI.

use super::{Dialect, Operation, Refusal, post};

pub(super) static DIALECT: Dialect = Dialect {
    name: "google",
    routes: &[
        post(":generateContent", Operation::Generate),
        post(":streamGenerateContent", Operation::Generate),
        post(":predict", Operation::Generate),
        post(":embedContent", Operation::Embed),
        post(":batchEmbedContents", Operation::Embed),
        post(":batchGenerateContent", Operation::Batch),
        post(":countTokens", Operation::Auxiliary),
    ],
    error,
};

fn error(refusal: Refusal, message: &str) -> String {
    let (code, status) = match refusal {
        Refusal::Throttled => (429, "RESOURCE_EXHAUSTED"),
        Refusal::Rejected => (403, "PERMISSION_DENIED"),
    };
    serde_json::json!({"error": {"code": code, "message": message, "status": status}}).to_string()
}

//! The headers that tell the origin and the routes.

use crate::config::Policy;
use crate::judge::{Action, Verdict};

/// The score in whole points, 0 to 100.
pub const SCORE: &str = "x-scarecrow-score";
/// The action, by name.
pub const ACTION: &str = "x-scarecrow-action";
/// Up to three reasons with their log-odds, `side_by_side=1.6,requests_per_minute=1.2`.
pub const REASONS: &str = "x-scarecrow-reasons";
/// What the origin is asked to do, `hide-reasoning`.
pub const ADVICE: &str = "x-scarecrow-advice";
/// What a route may match on.
pub const ROUTE: &str = "x-scarecrow-route";

/// Every header that the filter sends to the origin. An origin that copies request headers into its response must
/// not hand these to the client.
pub const ALL: [&str; 5] = [SCORE, ACTION, REASONS, ADVICE, ROUTE];

/// The headers for a request that goes on. Each milder step adds its own: a throttled request that is within its
/// rate is tagged and carries the advice, if both are configured. A score that is reached by loose evidence reroutes nobody.
pub fn headers(verdict: &Verdict, policy: &Policy) -> Vec<(&'static str, String)> {
    let is_taken =
        |action| action <= verdict.action && policy.steps.start_of(action).is_some_and(|start| start <= verdict.score);
    let mut headers = vec![
        (SCORE, verdict.score.points().to_string()),
        (ACTION, verdict.action.name().to_owned()),
        (REASONS, verdict.reasons.to_string()),
    ];
    if is_taken(Action::Advise) {
        headers.push((ADVICE, policy.advice.to_string()));
    }
    if is_taken(Action::Reroute) {
        headers.push((ROUTE, policy.reroute.to_string()));
    }
    headers
}

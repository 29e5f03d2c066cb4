//! Where an API key may stand in a request, most usual first.

use super::headers::Headers;
use super::name::Name;

/// The credential's bytes, borrowed: to be hashed at once and never kept.
#[must_use]
pub fn find<'a>(headers: &Headers<'a>, path: &'a [u8]) -> Option<&'a [u8]> {
    headers
        .get(Name::Authorization)
        .map(strip_scheme)
        .or_else(|| headers.get(Name::XApiKey))
        .or_else(|| headers.get(Name::ApiKey))
        .or_else(|| headers.get(Name::GoogApiKey))
        .or_else(|| query_key(path))
        .filter(|key| !key.is_empty())
}

/// `Bearer sk-…` is `sk-…`, so that a key is the same in any header. Of a signature (AWS SigV4) only the access key
/// counts: the rest changes with each request.
fn strip_scheme(value: &[u8]) -> &[u8] {
    const AWS: &[u8] = b"AWS4-HMAC-SHA256 Credential=";
    if let Some(rest) = value.strip_prefix(AWS) {
        return rest.split(|&byte| byte == b'/').next().unwrap_or(rest);
    }
    match value.split_at_checked(b"Bearer ".len()) {
        Some((scheme, key)) if scheme.eq_ignore_ascii_case(b"Bearer ") => key.trim_ascii(),
        _ => value.trim_ascii(),
    }
}

/// Gemini's `?key=`.
fn query_key(path: &[u8]) -> Option<&[u8]> {
    let query = path.splitn(2, |&byte| byte == b'?').nth(1)?;
    query.split(|&byte| byte == b'&').take(32).find_map(|pair| pair.strip_prefix(b"key="))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_the_same_wherever_it_stands() {
        let path = "/v1beta/models/m:generateContent?alt=sse&key=K";
        for (headers, path, expected) in [
            (&[("authorization", "Bearer K")][..], "/", Some("K")),
            (&[("authorization", "bearer  K ")], "/", Some("K")),
            (&[("x-api-key", "K")], "/", Some("K")),
            (&[("api-key", "K")], "/", Some("K")),
            (&[("x-goog-api-key", "K")], "/", Some("K")),
            (&[], path, Some("K")),
            (&[("authorization", "Bearer A"), ("x-api-key", "B")], "/", Some("A")),
            (
                &[(
                    "authorization",
                    "AWS4-HMAC-SHA256 Credential=AKID/20260101/us-east-1/bedrock/aws4_request, Signature=12",
                )],
                "/",
                Some("AKID"),
            ),
            (&[("authorization", "Bearer ")], "/", None),
            (&[("authorization", "")], "/", None),
            (&[], "/?monkey=1", None),
            (&[], "/", None),
        ] {
            let parsed = Headers::new(headers.iter().map(|(n, v)| (n.as_bytes(), v.as_bytes())));
            assert_eq!(find(&parsed, path.as_bytes()), expected.map(str::as_bytes), "{headers:?} {path}");
        }
    }
}

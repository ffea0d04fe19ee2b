//! What is seen of every command: its trace id, made here where none came with it, joins the command with its events and their rows; its
//! outcome and how long it took are counted.

use std::time::Instant;

use axum::{
    extract::Request,
    http::{HeaderName, HeaderValue, Method, StatusCode},
    middleware::Next,
    response::Response,
};
use tracing::Instrument;
use uuid::Uuid;

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// What a command came to, for who looks at its answer from outside.
#[derive(Debug, Clone)]
pub(super) struct Kept {
    pub(super) stream: String,
    pub(super) position: u64,
    /// 0 where it changed nothing.
    pub(super) events: u32,
    pub(super) repeated: bool,
}

/// Gives the command a trace id, and notes what became of it.
pub(super) async fn observed(mut request: Request, next: Next) -> Response {
    if request.method() == Method::GET {
        return next.run(request).await;
    }
    let began = Instant::now();
    let traceparent = traceparent(&request);
    let trace = trace_id(traceparent.to_str().unwrap_or_default()).to_owned();
    request.headers_mut().insert(TRACEPARENT, traceparent.clone());
    let span = tracing::info_span!("command", trace);
    let mut response = next.run(request).instrument(span).await;
    let kept = response.extensions_mut().remove::<Kept>();
    count(&response, kept.as_ref(), began);
    if let Some(Kept { stream, position, events, repeated: false }) = kept
        && events > 0
    {
        tracing::debug!(target: "trace", trace, stream, position, events, "appended");
    }
    response.headers_mut().insert(TRACEPARENT, traceparent);
    response
}

fn count(response: &Response, kept: Option<&Kept>, began: Instant) {
    let outcome = outcome(response.status(), kept);
    metrics::counter!("reel_commands_total", "outcome" => outcome).increment(1);
    metrics::histogram!("reel_command_seconds", "outcome" => outcome).record(began.elapsed());
    if let Some(Kept { events, repeated: false, .. }) = kept {
        metrics::counter!("reel_events_appended_total").increment(u64::from(*events));
    }
}

fn outcome(status: StatusCode, kept: Option<&Kept>) -> &'static str {
    match kept {
        Some(Kept { repeated: true, .. }) => "repeated",
        Some(Kept { events: 0, .. }) => "unchanged",
        Some(_) => "kept",
        None if status == StatusCode::CONFLICT => "conflict",
        None if status.is_server_error() => "failed",
        None => "refused",
    }
}

/// What came with the request, if it is valid and there once; else one of our own. An invalid one is to be ignored, says W3C Trace Context.
fn traceparent(request: &Request) -> HeaderValue {
    let mut given = request.headers().get_all(TRACEPARENT).iter();
    match (given.next(), given.next()) {
        (Some(one), None) if one.to_str().is_ok_and(is_traceparent) => one.clone(),
        _ => {
            let (trace, (_, parent)) = (Uuid::new_v4().simple(), Uuid::new_v4().as_u64_pair());
            // Not sampled: nothing was recorded of it elsewhere.
            HeaderValue::from_str(&format!("00-{trace}-{parent:016x}-00")).expect("hexadecimal digits are ASCII")
        }
    }
}

/// `00-<32 hex>-<16 hex>-<2 hex>`, in lower case; neither id is all zeros.
pub(super) fn is_traceparent(value: &str) -> bool {
    let lengths = [2, 32, 16, 2];
    let parts: Vec<&str> = value.split('-').collect();
    let hex = |part: &str| part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    parts.len() == lengths.len()
        && parts.iter().zip(lengths).all(|(part, length)| part.len() == length && hex(part))
        && parts[0] != "ff"
        && parts[1..3].iter().all(|id| id.bytes().any(|byte| byte != b'0'))
}

fn trace_id(traceparent: &str) -> &str {
    traceparent.split('-').nth(1).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    fn request(headers: &[&str]) -> Request {
        let mut request = Request::new(Body::empty());
        for value in headers {
            request.headers_mut().append(TRACEPARENT, HeaderValue::from_str(value).unwrap());
        }
        request
    }

    #[test]
    fn a_valid_traceparent_is_kept_and_any_other_replaced() {
        let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert_eq!(traceparent(&request(&[good])), good);
        let zeros = "00-00000000000000000000000000000000-00f067aa0ba902b7-01";
        let future = "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        for bad in [&[][..], &["nonsense"], &[zeros], &[future], &[good, good]] {
            let made = traceparent(&request(bad)).to_str().unwrap().to_owned();
            assert!(is_traceparent(&made) && made != good, "{made}");
            assert_ne!(traceparent(&request(bad)).to_str().unwrap(), made, "each has its own");
        }
    }
}

//! What each path answers.

use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Bytes;
use serde_json::json;

use super::Readiness;

const JSON: &str = "application/json";
const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The answer to one request; `metrics` is only rendered where it is asked for.
pub(super) fn answer<B>(
    request: &Request<B>,
    ready: &dyn Fn() -> Readiness,
    metrics: impl FnOnce() -> String,
) -> Response<Full<Bytes>> {
    let path = request.uri().path();
    if !matches!(path, "/healthz" | "/readyz" | "/metrics") {
        return response(StatusCode::NOT_FOUND, JSON, json!({ "error": "not found" }).to_string());
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let body = json!({ "error": "only GET and HEAD" }).to_string();
        let mut response = response(StatusCode::METHOD_NOT_ALLOWED, JSON, body);
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return response;
    }
    match path {
        "/metrics" => response(StatusCode::OK, PROMETHEUS, metrics()),
        "/readyz" => match ready() {
            Readiness::Ready => response(StatusCode::OK, JSON, json!({ "ready": true }).to_string()),
            Readiness::NotReady { reason } => {
                let body = json!({ "ready": false, "reason": reason }).to_string();
                response(StatusCode::SERVICE_UNAVAILABLE, JSON, body)
            }
        },
        _ => response(StatusCode::OK, JSON, json!({ "alive": true }).to_string()),
    }
}

fn response(status: StatusCode, kind: &'static str, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

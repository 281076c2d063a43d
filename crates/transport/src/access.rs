//! Which role may call which RPC. What is not in the table is denied.

use std::future::{Ready, ready};
use std::task::{Context, Poll};

use futures::future::Either;
use tonic::Status;

use tower::{Layer, Service};

use crate::listener::peer;
use crate::spiffe::PeerRole;

/// One row of the table: a gRPC path, `/package.Service/Method` or `/package.Service/*`, and who may call it.
/// Where a method has a row of its own, the `*` row of its service does not count for it.
#[derive(Clone, Copy, Debug)]
pub struct Grant(pub &'static str, pub &'static [PeerRole]);

/// A tower layer that lets a request through only if the table grants its path to its peer's role. All else, an
/// unknown path and a request without a peer included, is answered `PERMISSION_DENIED`.
#[derive(Clone, Copy, Debug)]
pub struct AccessLayer {
    grants: &'static [Grant],
    refusal: Refusal,
}

/// Makes the status of a refusal from its reason: a server tells its own kind of detail with it.
pub type Refusal = fn(&str) -> Status;

impl AccessLayer {
    /// A layer over this table. An empty table denies everything.
    pub const fn new(grants: &'static [Grant]) -> Self {
        Self { grants, refusal: |reason| Status::permission_denied(reason) }
    }

    /// The same, which refuses with this status.
    #[must_use]
    pub const fn refusing_with(self, refusal: Refusal) -> Self {
        Self { refusal, ..self }
    }

    /// Whether the table grants `path` to `role`.
    pub fn allows(&self, role: PeerRole, path: &str) -> bool {
        let exact = self.grants.iter().filter(|grant| grant.0 == path);
        let mut rows = exact.peekable();
        if rows.peek().is_some() {
            return rows.any(|grant| grant.1.contains(&role));
        }
        self.grants.iter().any(|grant| covers(grant.0, path) && grant.1.contains(&role))
    }
}

/// Whether a `/package.Service/*` row covers the path: the same service, and one method name after it.
fn covers(row: &str, path: &str) -> bool {
    let method =
        row.strip_suffix('*').filter(|row| row.ends_with('/')).and_then(|row| path.strip_prefix(row));
    method.is_some_and(|method| !method.is_empty() && !method.contains('/'))
}

impl<S> Layer<S> for AccessLayer {
    type Service = Access<S>;

    fn layer(&self, inner: S) -> Access<S> {
        Access { inner, table: *self }
    }
}

/// The service [`AccessLayer`] makes.
#[derive(Clone, Copy, Debug)]
pub struct Access<S> {
    inner: S,
    table: AccessLayer,
}

impl<S, B, R> Service<http::Request<B>> for Access<S>
where
    S: Service<http::Request<B>, Response = http::Response<R>>,
    R: Default,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Either<S::Future, Ready<Result<Self::Response, Self::Error>>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        let path = request.uri().path();
        let Some(peer) = peer(request.extensions()) else {
            return denied("none", (self.table.refusal)("no authenticated peer"));
        };
        let role = peer.id.role();
        if !self.table.allows(role, path) {
            tracing::warn!(peer = %peer.id, address = %peer.address, path, "denied by role");
            let reason = format!("role {role} may not call {path}");
            return denied(role.as_str(), (self.table.refusal)(&reason));
        }
        Either::Left(self.inner.call(request))
    }
}

/// A trailers-only answer: gRPC's status in the headers and no body.
fn denied<F, R: Default, E>(
    role: &'static str,
    status: Status,
) -> Either<F, Ready<Result<http::Response<R>, E>>> {
    metrics::counter!("quorate_access_denied_total", "role" => role).increment(1);
    Either::Right(ready(Ok(status.into_http())))
}

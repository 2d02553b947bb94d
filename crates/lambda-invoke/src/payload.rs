//! The event's bytes as they came: past the runtime's own JSON reader.
//!
//! `lambda_runtime` reads every event with serde before a handler sees it, be it only to find where the JSON ends,
//! which costs as much as decoding half of the records in it. [`Payload`] is a layer around the runtime's
//! service that takes the bytes out and leaves `null` in their place; the handler asks the same [`Payload`]
//! for them.

use std::sync::{Arc, Mutex, PoisonError};
use std::task;

use anomaly_aws::event::EventError;
use bytes::Bytes;
use lambda_runtime::LambdaInvocation;
use lambda_runtime::tower::{Layer, Service};

/// The bytes of the event that is being handled. A clone is another handle on them.
///
/// One event at a time, as `Runtime::run` has it.
#[derive(Clone, Debug, Default)]
pub struct Payload(Arc<Mutex<Bytes>>);

impl Payload {
    /// The bytes, for the handler, once: what is left is empty.
    pub fn take(&self) -> Bytes {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn put(&self, bytes: Bytes) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = bytes;
    }
}

impl<S> Layer<S> for Payload {
    type Service = Aside<S>;

    fn layer(&self, inner: S) -> Aside<S> {
        Aside { inner, payload: self.clone() }
    }
}

/// The event as text.
///
/// # Errors
/// [`EventError::Unknown`] if it is not UTF-8, and so not JSON.
pub fn text(event: &[u8]) -> Result<&str, EventError> {
    std::str::from_utf8(event)
        .map_err(|error| EventError::Unknown { expected: "JSON", found: format!("is not UTF-8: {error}") })
}

/// The runtime's service with the event's bytes put aside.
#[derive(Clone, Debug)]
pub struct Aside<S> {
    inner: S,
    payload: Payload,
}

impl<S: Service<LambdaInvocation>> Service<LambdaInvocation> for Aside<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, context: &mut task::Context<'_>) -> task::Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut invocation: LambdaInvocation) -> Self::Future {
        self.payload.put(std::mem::replace(&mut invocation.body, Bytes::from_static(b"null")));
        self.inner.call(invocation)
    }
}

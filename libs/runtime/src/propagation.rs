//! W3C trace context (traceparent) in and out of text maps: HTTP headers and Kafka headers.
//!
//! `tracestate` is not passed on: it is free text of whoever calls, and would land in the headers of records.

use std::marker::PhantomData;

use opentelemetry::{
    Context,
    propagation::{Extractor, Injector, TextMapPropagator as _},
};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

struct Pairs<'a>(&'a mut Vec<(String, String)>);

impl Injector for Pairs<'_> {
    fn set(&mut self, key: &str, value: String) {
        if !value.is_empty() {
            self.0.push((key.to_owned(), value));
        }
    }
}

struct Lookup<'a, F>(F, PhantomData<&'a str>);

impl<'a, F: Fn(&str) -> Option<&'a str>> Extractor for Lookup<'a, F> {
    fn get(&self, key: &str) -> Option<&str> {
        (key == "traceparent").then(|| (self.0)(key)).flatten()
    }

    fn keys(&self) -> Vec<&str> {
        Vec::new()
    }
}

/// The current span's trace context as header names and values; empty outside of any span.
pub fn inject() -> Vec<(String, String)> {
    let mut pairs = Vec::new();
    TraceContextPropagator::new().inject_context(&Span::current().context(), &mut Pairs(&mut pairs));
    pairs
}

/// The trace context in the headers that `lookup` finds by (lower-case) name.
pub fn extract<'a>(lookup: impl Fn(&str) -> Option<&'a str>) -> Context {
    TraceContextPropagator::new().extract_with_context(&Context::new(), &Lookup(lookup, PhantomData))
}

/// Makes `span` a child of the trace context in the headers that `lookup` finds; without any nothing changes.
pub fn adopt<'a>(span: &Span, lookup: impl Fn(&str) -> Option<&'a str>) {
    use opentelemetry::trace::TraceContextExt as _;
    let context = extract(lookup);
    if context.span().span_context().is_valid() {
        // Fails only when no OpenTelemetry layer is installed, in tests: then there is nothing to link.
        let _ = span.set_parent(context);
    }
}

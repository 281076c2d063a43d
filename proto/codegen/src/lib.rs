//! See `tests/drift.rs`: protox compiles the `.proto` files, so no system `protoc` is needed.

//! Services wired together.

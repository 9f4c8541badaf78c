//! The steps that operators may take, as plain functions: no database, no clock, no HTTP.

pub(crate) mod grant;
pub(crate) mod membership;
pub(crate) mod notice;

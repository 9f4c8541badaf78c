//! What the local stack is filled and shown with: sample files, the seed, and the story that `make demo` tells.

pub mod backup;
pub mod cli;
pub mod demo;
pub mod error;
pub mod housekeeping;
pub mod places;
mod process;
pub mod running;
pub mod samples;
pub mod seed;
pub mod status;
pub mod supervise;
pub mod up;

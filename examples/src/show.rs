//! What `demo` needs to put the other subcommands on a stage.

pub mod crowd;
pub mod latency;
pub mod member;
pub mod processes;
pub mod progress;

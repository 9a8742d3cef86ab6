//! Kills under load: a victim streams at full speed and is killed at a random time.
//!
//! The victim is another process of the program that is named, whose `main` calls [`victim::play`].

pub mod forms;
pub mod kills;
pub mod listeners;
pub mod random;
pub mod victim;

/// The first argument of a process that is a victim.
pub const VICTIM: &str = "victim";

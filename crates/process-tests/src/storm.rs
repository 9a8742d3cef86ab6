//! Kills under load: a victim streams at full speed and is killed at a random time.

pub mod random;

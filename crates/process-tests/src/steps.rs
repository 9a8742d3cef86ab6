//! Death at every step: one process is stopped at each system call and each instruction of what it does with a ring, and there it is
//! looked at, killed, stopped or overtaken.
//!
//! The victim is another process of the program that is named, whose `main` calls [`victim::play`]; the survivor is the process
//! that asks.

pub mod acts;
pub mod ends;
pub mod fates;
pub mod handshake;
pub mod samples;
pub mod scene;
pub mod standing;
pub mod survivor;
pub mod victim;

/// The first argument of a process that is a victim.
pub const VICTIM: &str = "victim";

/// The sizes of elements, in words: copied word by word, and in one block.
pub const SIZES: [usize; 2] = [8, 128];

/// Calls a function that is generic over the words of an element.
macro_rules! for_size {
    ($words:expr, $function:ident $(, $argument:expr)* $(,)?) => {
        match $words {
            8 => $function::<8>($($argument),*),
            128 => $function::<128>($($argument),*),
            other => panic!("no elements of {other} words here"),
        }
    };
}
pub(crate) use for_size;

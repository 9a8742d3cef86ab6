//! A pattern that stands for what a process has in its memory and tells nobody, and the search for any piece of it.

use std::collections::HashSet;

/// Bytes that a search needs to be sure: of the secret, in their order.
const PIECE: usize = 8;

/// Printable, so that it can be a name. Whoever fills memory with it repeats it, so a piece may begin anywhere.
pub const SECRET: [u8; 64] = secret();

const fn secret() -> [u8; 64] {
    let mut bytes = [0; 64];
    let (mut state, mut i) = (0x9e37_79b9_u32, 0);
    while i < bytes.len() {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        bytes[i] = b'!' + ((state >> 16) % 90) as u8;
        i += 1;
    }
    bytes
}

/// Fills `memory` with the secret, from any of its bytes on.
pub fn fill(memory: &mut [u8]) {
    memory.iter_mut().zip(SECRET.iter().cycle()).for_each(|(to, from)| *to = *from);
}

/// Where in `bytes` the first eight bytes are that are a piece of the secret, at whatever offset.
pub fn find(bytes: &[u8]) -> Option<usize> {
    let twice = [SECRET, SECRET].concat();
    let pieces: HashSet<&[u8]> = twice.windows(PIECE).collect();
    bytes.windows(PIECE).position(|window| pieces.contains(window))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_eight_bytes_at_any_offset_are_found_and_seven_are_not() {
        let mut long = [0; 256];
        fill(&mut long);
        for start in 0..SECRET.len() {
            for offset in 0..9 {
                let mut bytes = vec![0; 64];
                bytes[offset..offset + 7].copy_from_slice(&long[start..start + 7]);
                assert_eq!(find(&bytes), None);
                bytes[offset + 7] = long[start + 7];
                assert_eq!(find(&bytes), Some(offset));
            }
        }
    }
}

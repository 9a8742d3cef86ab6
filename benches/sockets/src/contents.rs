//! What is in a message: its number, in each word of 8 bytes.

/// The number of a message that asks for an answer. Others count from 0.
pub const ANSWER: u64 = u64::MAX;

pub fn fill(message: &mut [u8], number: u64) {
    message.as_chunks_mut().0.fill(number.to_ne_bytes());
}

/// Panics unless these are words of a message with that number.
pub fn check(words: &[[u8; 8]], number: u64) {
    // Without a branch a word, so that it is as fast as memory.
    let differs = words.iter().fold(0, |differs, word| differs | (u64::from_ne_bytes(*word) ^ number));
    assert!(differs == 0, "message {number} is wrong or torn");
}

/// The number of a whole message of that length. Panics unless it is one.
pub fn number(message: &[u8], bytes: usize) -> u64 {
    assert_eq!(message.len(), bytes, "a message of another length");
    let words = message.as_chunks().0;
    let number = words.first().copied().map(u64::from_ne_bytes).expect("a message has a word or more");
    check(words, number);
    number
}

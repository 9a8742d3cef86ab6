//! Elements that show when they are torn: every word tells the element's number and its own place.

/// The element with that number.
pub fn element<const WORDS: usize>(number: u64) -> [u64; WORDS] {
    std::array::from_fn(|place| word(number, place))
}

/// The number of an element, if each of its words belongs to it.
pub fn number_of<const WORDS: usize>(element: &[u64; WORDS]) -> Option<u64> {
    let number = element[0];
    element.iter().enumerate().all(|(place, &found)| found == word(number, place)).then_some(number)
}

/// Numbers stay below 2^48.
fn word(number: u64, place: usize) -> u64 {
    number + ((place as u64) << 48)
}

/// Checks that `elements` are whole and bear the numbers from `next` on, and returns the number behind them.
pub fn assert_next<const WORDS: usize>(next: u64, elements: &[[u64; WORDS]]) -> u64 {
    let mut due = next;
    for element in elements {
        match number_of(element) {
            Some(number) => assert_eq!(number, due, "an element that is not the next one"),
            None => panic!("a torn element where {due} is due: {element:x?}"),
        }
        due += 1;
    }
    due
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_torn_element_has_no_number() {
        let mut mixture = element::<8>(5);
        assert_eq!(number_of(&mixture), Some(5));
        mixture[3] = element::<8>(6)[3];
        assert_eq!(number_of(&mixture), None);
    }
}

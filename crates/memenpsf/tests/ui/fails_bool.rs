use memenpsf::{Interface, Options};

fn main() {
    let _ = Interface::<bool>::pair(&Options::new());
}

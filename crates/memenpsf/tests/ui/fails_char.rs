use memenpsf::{Interface, Options};

fn main() {
    let _ = Interface::<char>::pair(&Options::new());
}

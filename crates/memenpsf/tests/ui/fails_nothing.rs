use memenpsf::{Interface, Options};

fn main() {
    let _ = Interface::<()>::pair(&Options::new());
}

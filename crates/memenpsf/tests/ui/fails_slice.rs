use memenpsf::{Interface, Options};

fn main() {
    let _ = Interface::<&'static [u8]>::pair(&Options::new());
}

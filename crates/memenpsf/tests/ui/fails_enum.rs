use memenpsf::{Interface, Options};

#[repr(u8)]
enum Side {
    Buy,
    Sell,
}

fn main() {
    let _ = (Side::Buy, Side::Sell);
    let _ = Interface::<Side>::pair(&Options::new());
}

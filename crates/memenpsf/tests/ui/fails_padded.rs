use memenpsf::{
    Interface, Options,
    zerocopy::{FromBytes, Immutable},
};

#[derive(FromBytes, Immutable)]
#[zerocopy(crate = "memenpsf::zerocopy")]
#[repr(C)]
struct Padded {
    one: u8,
    two: u32,
}

fn main() {
    let _ = Interface::<Padded>::pair(&Options::new());
}

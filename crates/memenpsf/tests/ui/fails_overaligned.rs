use memenpsf::{
    Interface, Options,
    zerocopy::{FromBytes, Immutable, IntoBytes},
};

#[derive(FromBytes, IntoBytes, Immutable)]
#[zerocopy(crate = "memenpsf::zerocopy")]
#[repr(C, align(8192))]
struct Wide([u8; 8192]);

fn main() {
    let _ = Interface::<Wide>::pair(&Options::new());
}

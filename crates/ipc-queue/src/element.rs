//! What may lie in a slot.

use zerocopy::{FromBytes, Immutable, IntoBytes};

/// A type that can cross between two processes that do not trust each other: every bit pattern is a valid value, there is
/// no padding, no pointer and nothing that changes behind a shared reference.
///
/// Nobody implements this trait by hand: it holds for every type that has zerocopy's derives and is `Send + 'static`.
/// Integers, floats and arrays of elements have them already.
///
/// ```
/// use ipc_queue::zerocopy::{FromBytes, Immutable, IntoBytes};
///
/// #[derive(Clone, Copy, FromBytes, IntoBytes, Immutable)]
/// #[zerocopy(crate = "ipc_queue::zerocopy")]
/// #[repr(C)]
/// struct Quote {
///     price: u64,
///     size: u32,
///     venue: u32,
/// }
/// ```
///
/// A program that has `memenpsf` and not `ipc-queue` writes `memenpsf::zerocopy` in both places.
///
/// A type of size zero, or with an alignment over 4096, is refused when the program is compiled.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot cross between processes: it is not an `Element`",
    label = "not every bit pattern of this type is a valid value, or it has padding, pointers or borrows",
    note = "derive what is needed: `#[derive(FromBytes, IntoBytes, Immutable)] #[repr(C)]`, and for a re-exported zerocopy `#[zerocopy(crate = \"memenpsf::zerocopy\")]`",
    note = "a struct with padding needs its gaps named as fields; `bool`, `char` and enums travel as integers; text and slices as arrays of fixed length"
)]
pub trait Element: FromBytes + IntoBytes + Immutable + Send + 'static {}

#[diagnostic::do_not_recommend]
impl<T: FromBytes + IntoBytes + Immutable + Send + 'static> Element for T {}

/// Evaluated once for each element type that is really used.
pub(crate) const fn assert_fits<T>() {
    assert!(size_of::<T>() > 0, "an element must have a size: a type of size zero says nothing");
    assert!(align_of::<T>() <= crate::layout::PAGE, "an element's alignment must not exceed 4096");
}

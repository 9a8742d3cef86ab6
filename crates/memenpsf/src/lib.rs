#![doc = include_str!("../README.md")]

mod interface;
mod listener;
mod methods;
mod run;

pub use {
    crossbeam_channel,
    interface::{Interface, RecvHalf, XmitHalf},
    ipc_queue::{
        ControlMessage, Corrupt, Credentials, Drain, Element, Error, Options, Peek, Reason, RecvError, Refused,
        Reservation, Role, Stats, Support, Wait, XmitError, XmitErrorKind, zerocopy,
    },
    listener::{Listener, Pending},
    local_socket::{IntoName, Name},
    run::{RunEnd, RunReport, Runner, StopHandle},
};

#[cfg(doctest)]
#[doc = include_str!("../../../docs/elements.md")]
struct ElementsPage;

#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct FrontPage;

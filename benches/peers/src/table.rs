//! The systems.

use std::os::unix::net::UnixStream;

use crate::{
    dispatch,
    measures::{Values, links, passing, passing::Passing},
    plan::Plan,
    system::{Abilities, BetweenProcesses, BetweenThreads, Meeting, Side},
    systems,
};

/// The sizes of a message, in bytes.
pub const SIZES: [usize; 6] = [8, 64, 1 << 10, 4 << 10, 64 << 10, 1 << 20];

/// A system that can be run.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    pub name: &'static str,
    pub abilities: Abilities,
    pub threads: bool,
    pub round_trip_only: bool,
    pub general: bool,
    run: fn(&Plan) -> Values,
    far: Option<fn(&Plan, UnixStream) -> Values>,
}

impl Entry {
    /// Runs it: this is the near end.
    pub fn run(&self, plan: &Plan) -> Values {
        plan.cores.place(Side::Near);
        (self.run)(plan)
    }

    /// Is the far end of it, in this process.
    pub fn far(&self, plan: &Plan, stream: UnixStream) -> Values {
        self.far.expect("a system between processes")(plan, stream)
    }
}

const fn processes<S: BetweenProcesses>() -> Entry {
    Entry {
        name: S::NAME,
        abilities: S::ABILITIES,
        threads: false,
        round_trip_only: S::ROUND_TRIP_ONLY,
        general: S::GENERAL,
        run: dispatch::with_process::<S>,
        far: Some(dispatch::far_process::<S>),
    }
}

const fn threads<S: BetweenThreads>() -> Entry {
    Entry {
        name: S::NAME,
        abilities: S::ABILITIES,
        threads: true,
        round_trip_only: S::ROUND_TRIP_ONLY,
        general: S::GENERAL,
        run: dispatch::with_thread::<S>,
        far: None,
    }
}

/// A way of making links, which is only asked for that.
const fn meeting<M: Meeting>() -> Entry {
    Entry {
        name: M::NAME,
        abilities: Abilities { blocks: false, batches: false, lends: false, notices_death: false, largest: 64 },
        threads: false,
        round_trip_only: false,
        general: false,
        run: links::near::<M>,
        far: Some(links::far::<M>),
    }
}

/// A way of passing a descriptor on, which is only asked for that.
const fn passing<P: Passing>() -> Entry {
    Entry {
        name: P::NAME,
        abilities: Abilities { blocks: false, batches: false, lends: false, notices_death: false, largest: 64 },
        threads: true,
        round_trip_only: false,
        general: false,
        run: passing::run::<P>,
        far: None,
    }
}

/// All of them; the first is ours.
pub const SYSTEMS: &[Entry] = &[
    processes::<systems::memenpsf::Memenpsf>(),
    processes::<systems::bare::Bare>(),
    processes::<systems::eventfd::Eventfd>(),
    processes::<systems::polled::PolledSocket>(),
    processes::<systems::iceoryx2::Iceoryx2>(),
    processes::<systems::shmem_ipc::ShmemIpc>(),
    processes::<systems::shmipc::Shmipc>(),
    processes::<systems::ringfire::Ringfire>(),
    processes::<systems::ipc_channel::IpcChannel>(),
    processes::<systems::unix_ipc::UnixIpc>(),
    processes::<systems::interprocess::Interprocess>(),
    threads::<systems::atomics::Atomics>(),
    threads::<systems::rtrb::Rtrb>(),
    threads::<systems::rtrb::Paced>(),
    threads::<systems::ringbuf::Ringbuf>(),
    threads::<systems::crossbeam::Crossbeam>(),
    threads::<systems::crossfire::Crossfire>(),
    threads::<systems::kanal::Kanal>(),
    processes::<systems::kernel::StreamSocket>(),
    processes::<systems::kernel::PacketSocket>(),
    processes::<systems::kernel::Pipes>(),
    processes::<systems::run::Run>(),
    threads::<systems::run::ChannelsInARow>(),
    meeting::<systems::memenpsf::UnderPath>(),
    meeting::<systems::iceoryx2::one_direction::OneDirection>(),
    passing::<systems::descriptors::Fdpass>(),
    passing::<systems::descriptors::Bare>(),
    passing::<systems::descriptors::Rustix>(),
    passing::<systems::descriptors::Sendfd>(),
];

/// The system of that name.
pub fn system(name: &str) -> &'static Entry {
    SYSTEMS.iter().find(|entry| entry.name == name).unwrap_or_else(|| panic!("no system {name}"))
}

//! The two ends of a stream, each in a process of its own: the near end listens, the far end calls.

use std::{
    env,
    future::Future,
    io,
    os::{
        linux::net::SocketAddrExt,
        unix::net::{SocketAddr, UnixListener, UnixStream},
    },
    process::{Child, Command, Stdio, id},
};

use interprocess::local_socket::{self as theirs, GenericNamespaced, prelude::*};
use local_socket as ours;
use nix::unistd::alarm;

use crate::{
    cores::{HERE, pin},
    link::{Awaited, Blocking, at_once},
    measures,
    plan::{Form, Plan, Streams, Subject},
};

/// The first argument of this program when it is to be the far end. The system, the plan and the name follow.
const FAR_END: &str = "--far-end";
/// Seconds after which a run hangs, and is killed.
pub const PATIENCE: u32 = 30;

/// Runs a plan between this process and another one. Nanoseconds. The far end is told the places of system and plan.
pub fn run(place: usize, form: Form, index: usize, plan: Plan) -> io::Result<f64> {
    let (system, _) = Streams::ALL[place];
    pin(HERE);
    alarm::set(PATIENCE);
    let name = format!("sockets.{:x}", id());
    let call = || FarProcess::start(place, index, &name);
    let found = match form {
        Form::Sync => near_sync(system, plan, &name, call),
        Form::Tokio => in_runtime(near_tokio(system, plan, &name, call)),
    };
    alarm::cancel();
    found
}

/// If this program was started as the far end: plays it, and returns `true` when it is over.
pub fn play() -> io::Result<bool> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [first, system, plan, name] = arguments.as_slice() else { return Ok(false) };
    if first != FAR_END {
        return Ok(false);
    }
    alarm::set(PATIENCE);
    let [system, plan] = [system, plan].map(|place| place.parse::<usize>().map_err(io::Error::other));
    let ((system, _), plan) = (Streams::ALL[system?], Plan::all()[plan?]);
    pin(plan.far_core());
    match plan.subject {
        Subject::Stream(Form::Sync) => far_sync(system, plan, name)?,
        Subject::Stream(Form::Tokio) => in_runtime(far_tokio(system, plan, name))?,
        _ => return Err(io::Error::other("no plan of streams")),
    }
    Ok(true)
}

fn near_sync(
    system: Streams,
    plan: Plan,
    name: &str,
    call: impl FnOnce() -> io::Result<FarProcess>,
) -> io::Result<f64> {
    match system {
        Streams::Ours => {
            let listener = ours::ListenerOptions::new(ours::Name::namespaced(name)?).create_sync()?;
            let _far = call()?;
            at_once(measures::near(plan, Blocking(listener.accept()?)))
        }
        Streams::Interprocess => {
            let listener = theirs::ListenerOptions::new().name(their_name(name)?).create_sync()?;
            let _far = call()?;
            at_once(measures::near(plan, Blocking(theirs::traits::Listener::accept(&listener)?)))
        }
        Streams::Bare => {
            let listener = UnixListener::bind_addr(&SocketAddr::from_abstract_name(name)?)?;
            let _far = call()?;
            at_once(measures::near(plan, Blocking(listener.accept()?.0)))
        }
    }
}

fn far_sync(system: Streams, plan: Plan, name: &str) -> io::Result<()> {
    match system {
        Streams::Ours => {
            let stream = ours::Stream::connect(ours::Name::namespaced(name)?)?;
            at_once(measures::far(plan, Blocking(stream)))
        }
        Streams::Interprocess => {
            let stream = <theirs::Stream as theirs::traits::Stream>::connect(their_name(name)?)?;
            at_once(measures::far(plan, Blocking(stream)))
        }
        Streams::Bare => {
            let stream = UnixStream::connect_addr(&SocketAddr::from_abstract_name(name)?)?;
            at_once(measures::far(plan, Blocking(stream)))
        }
    }
}

async fn near_tokio(
    system: Streams,
    plan: Plan,
    name: &str,
    call: impl FnOnce() -> io::Result<FarProcess>,
) -> io::Result<f64> {
    match system {
        Streams::Ours => {
            let listener = ours::ListenerOptions::new(ours::Name::namespaced(name)?).create_tokio()?;
            let _far = call()?;
            measures::near(plan, Awaited(listener.accept().await?)).await
        }
        Streams::Interprocess => {
            let listener = theirs::ListenerOptions::new().name(their_name(name)?).create_tokio()?;
            let _far = call()?;
            measures::near(plan, Awaited(theirs::traits::tokio::Listener::accept(&listener).await?)).await
        }
        Streams::Bare => {
            let listener = UnixListener::bind_addr(&SocketAddr::from_abstract_name(name)?)?;
            listener.set_nonblocking(true)?;
            let listener = tokio::net::UnixListener::from_std(listener)?;
            let _far = call()?;
            measures::near(plan, Awaited(listener.accept().await?.0)).await
        }
    }
}

async fn far_tokio(system: Streams, plan: Plan, name: &str) -> io::Result<()> {
    match system {
        Streams::Ours => {
            let stream = ours::tokio::Stream::connect(ours::Name::namespaced(name)?).await?;
            measures::far(plan, Awaited(stream)).await
        }
        Streams::Interprocess => {
            let stream = <theirs::tokio::Stream as theirs::traits::tokio::Stream>::connect(their_name(name)?).await?;
            measures::far(plan, Awaited(stream)).await
        }
        Streams::Bare => {
            let stream = UnixStream::connect_addr(&SocketAddr::from_abstract_name(name)?)?;
            stream.set_nonblocking(true)?;
            measures::far(plan, Awaited(tokio::net::UnixStream::from_std(stream)?)).await
        }
    }
}

fn their_name(name: &str) -> io::Result<theirs::Name<'_>> {
    name.to_ns_name::<GenericNamespaced>()
}

fn in_runtime<T>(future: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(future)
}

/// The far end, which ends when its connection does, and is gone when this is dropped.
struct FarProcess(Child);

impl FarProcess {
    fn start(system: usize, plan: usize, name: &str) -> io::Result<Self> {
        let arguments = [FAR_END, &system.to_string(), &plan.to_string(), name];
        Ok(Self(Command::new(env::current_exe()?).args(arguments).stdin(Stdio::null()).spawn()?))
    }
}

impl Drop for FarProcess {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

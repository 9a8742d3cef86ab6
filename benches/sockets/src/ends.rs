//! The two ends of a run, each in a process and on a core of its own: the near end listens, the far end calls.

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
    cores::{HERE, THERE, pin},
    link::{Awaited, Blocking, at_once},
    measures,
    plan::{Form, Measure, Plan, System},
};

/// The first argument of this program when it is to be the far end. The system, the plan and the name follow.
const FAR_END: &str = "--far-end";
/// Seconds after which a run hangs, and is killed.
const PATIENCE: u32 = 30;

/// Runs a plan between this process and another one. Nanoseconds.
pub fn run(system: System, index: usize, plan: Plan) -> io::Result<f64> {
    pin(HERE);
    alarm::set(PATIENCE);
    let name = format!("sockets.{:x}", id());
    let call = || FarProcess::start(system, index, &name);
    let found = match plan.form {
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
    let system = system.parse().map_err(io::Error::other)?;
    let plan = Plan::all()[plan.parse::<usize>().map_err(io::Error::other)?];
    pin(if plan.measure == Measure::RoundTripOneCore { HERE } else { THERE });
    match plan.form {
        Form::Sync => far_sync(system, plan, name)?,
        Form::Tokio => in_runtime(far_tokio(system, plan, name))?,
    }
    Ok(true)
}

fn near_sync(system: System, plan: Plan, name: &str, call: impl FnOnce() -> io::Result<FarProcess>) -> io::Result<f64> {
    match system {
        System::Ours => {
            let listener = ours::ListenerOptions::new(ours::Name::namespaced(name)?).create_sync()?;
            let _far = call()?;
            at_once(measures::near(plan, Blocking(listener.accept()?)))
        }
        System::Interprocess => {
            let listener = theirs::ListenerOptions::new().name(their_name(name)?).create_sync()?;
            let _far = call()?;
            at_once(measures::near(plan, Blocking(theirs::traits::Listener::accept(&listener)?)))
        }
        System::Bare => {
            let listener = UnixListener::bind_addr(&SocketAddr::from_abstract_name(name)?)?;
            let _far = call()?;
            at_once(measures::near(plan, Blocking(listener.accept()?.0)))
        }
    }
}

fn far_sync(system: System, plan: Plan, name: &str) -> io::Result<()> {
    match system {
        System::Ours => {
            let stream = ours::Stream::connect(ours::Name::namespaced(name)?)?;
            at_once(measures::far(plan, Blocking(stream)))
        }
        System::Interprocess => {
            let stream = <theirs::Stream as theirs::traits::Stream>::connect(their_name(name)?)?;
            at_once(measures::far(plan, Blocking(stream)))
        }
        System::Bare => {
            let stream = UnixStream::connect_addr(&SocketAddr::from_abstract_name(name)?)?;
            at_once(measures::far(plan, Blocking(stream)))
        }
    }
}

async fn near_tokio(
    system: System,
    plan: Plan,
    name: &str,
    call: impl FnOnce() -> io::Result<FarProcess>,
) -> io::Result<f64> {
    match system {
        System::Ours => {
            let listener = ours::ListenerOptions::new(ours::Name::namespaced(name)?).create_tokio()?;
            let _far = call()?;
            measures::near(plan, Awaited(listener.accept().await?)).await
        }
        System::Interprocess => {
            let listener = theirs::ListenerOptions::new().name(their_name(name)?).create_tokio()?;
            let _far = call()?;
            measures::near(plan, Awaited(theirs::traits::tokio::Listener::accept(&listener).await?)).await
        }
        System::Bare => {
            let listener = UnixListener::bind_addr(&SocketAddr::from_abstract_name(name)?)?;
            listener.set_nonblocking(true)?;
            let listener = tokio::net::UnixListener::from_std(listener)?;
            let _far = call()?;
            measures::near(plan, Awaited(listener.accept().await?.0)).await
        }
    }
}

async fn far_tokio(system: System, plan: Plan, name: &str) -> io::Result<()> {
    match system {
        System::Ours => {
            let stream = ours::tokio::Stream::connect(ours::Name::namespaced(name)?).await?;
            measures::far(plan, Awaited(stream)).await
        }
        System::Interprocess => {
            let stream = <theirs::tokio::Stream as theirs::traits::tokio::Stream>::connect(their_name(name)?).await?;
            measures::far(plan, Awaited(stream)).await
        }
        System::Bare => {
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
    fn start(system: System, plan: usize, name: &str) -> io::Result<Self> {
        let arguments = [FAR_END, &(system as usize).to_string(), &plan.to_string(), name];
        Ok(Self(Command::new(env::current_exe()?).args(arguments).stdin(Stdio::null()).spawn()?))
    }
}

impl Drop for FarProcess {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

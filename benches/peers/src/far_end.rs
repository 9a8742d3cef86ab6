//! Where the far end is: in another process, which is this program once more, or in another thread.

use std::{
    env,
    io::{Read, stdin},
    os::{
        fd::{AsFd, OwnedFd},
        unix::net::UnixStream,
    },
    process::{Child, Command, Stdio},
    thread,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::{
    measures::Values,
    near_end::end_with_parent,
    plan::{Cores, Plan},
    system::Side,
    table,
};

/// The first argument of this program when it is to be the far end; the plan is the second.
const FAR_END: &str = "--far-end";
/// Bytes of a stack on which a few of the largest messages fit.
pub const STACK: usize = 64 << 20;

/// If this program was started as the far end: plays it, and returns `true` when it is over.
pub fn play() -> bool {
    let mut arguments = env::args().skip(1);
    if arguments.next().as_deref() != Some(FAR_END) {
        return false;
    }
    let plan: Plan = serde_json::from_str(&arguments.next().expect("a plan")).expect("a plan that the near end made");
    end_with_parent();
    plan.cores.place(Side::Far);
    let stream = stdin().as_fd().try_clone_to_owned().expect("a socket as standard input");
    let values = table::system(&plan.system).far(&plan, UnixStream::from(stream));
    println!("{}", serde_json::to_string(&values).expect("numbers"));
    true
}

/// A far end in another process. It is gone when this is dropped.
#[derive(Debug)]
pub struct FarProcess(Child);

impl FarProcess {
    pub fn start(plan: &Plan) -> (Self, UnixStream) {
        let (here, there) = UnixStream::pair().expect("two sockets");
        let plan = serde_json::to_string(plan).expect("a plan is plain data");
        let child = Command::new(env::current_exe().expect("this program"))
            .args([FAR_END, &plan])
            .stdin(OwnedFd::from(there))
            .stdout(Stdio::piped())
            .spawn()
            .expect("this program starts once more");
        (Self(child), here)
    }

    /// Kills it; it is waited for when this is dropped.
    pub fn kill(&self) {
        kill(Pid::from_raw(self.0.id() as i32), Signal::SIGKILL).expect("a child that was not waited for");
    }

    /// Waits for its end, which must be a good one, and returns what it found.
    pub fn end(mut self) -> Values {
        let mut found = String::new();
        self.0.stdout.take().expect("piped").read_to_string(&mut found).expect("text");
        assert!(self.0.wait().expect("a child").success(), "the far end failed");
        serde_json::from_str(&found).expect("what the far end found")
    }
}

impl Drop for FarProcess {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs `far` in a thread of its own while `near` runs in this one, and returns what both found.
pub fn with_far_thread(cores: Cores, near: impl FnOnce() -> Values, far: impl FnOnce() -> Values + Send) -> Values {
    thread::scope(|scope| {
        let far = move || {
            cores.place(Side::Far);
            far()
        };
        let far = thread::Builder::new().stack_size(STACK).spawn_scoped(scope, far).expect("a thread");
        let mut values = near();
        values.extend(far.join().expect("the far end succeeds"));
        values
    })
}

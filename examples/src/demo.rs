//! `demo`: everything at once, with a server in a process of its own.

use std::{
    fs::File,
    io::{self, Write},
    time::Duration,
};

use nix::sys::signal::Signal;

use crate::{
    arguments::{Arguments, Command, Outcome},
    bridge::bridge,
    connect::{connect, leave},
    ping::round_trips,
    send::send,
    show::{crowd::crowd, latency::Latency, processes::Processes, progress::Part},
    stream::stream,
};

/// `ipc-client demo`.
pub const COMMAND: Command = Command { name: "ipc-client demo", help: HELP, takes: &[], run };

const HELP: &str = "\
Starts a server as a process that shares nothing with this one but the name of a socket, and does
in under ten seconds:

  ping       round trips one after the other, with a histogram
  stream     one way, as fast as it goes
  bridge     a run loop between crossbeam channels and the server
  file       this program's own file, compared by checksum
  crowd      eight clients at once, of which one is stopped by SIGSTOP and one falls silent in the
             handshake: the others do not feel it

Every message is checked for its place. The last line sums it up, and the exit code says whether
all of it held. Nothing is left behind, but for a directory after a SIGKILL.

Usage: ipc-client demo
";

const TIME: Duration = Duration::from_millis(1500);

fn run(_: &Arguments) -> Outcome {
    let processes = Processes::new()?;
    let socket = processes.socket();
    let mut server = processes.start("serve", &socket, None)?;
    server.says("listening")?;
    writeln!(io::stdout(), "server     process {}, listening at {}", server.pid(), socket.display())?;
    // Each part fails if one of its messages is lost, doubled or out of place. What goes there and back counts twice.
    let mut messages = 0;

    let part = Part::begin("ping");
    let mut interface = connect(&socket, "demo")?;
    let latencies = round_trips(&mut interface, TIME)?;
    messages += 2 * latencies.len();
    part.end(Latency(&latencies))?;

    let part = Part::begin("stream");
    let streamed = stream(&mut interface, TIME)?;
    messages += streamed.count;
    part.end(streamed)?;

    let part = Part::begin("file");
    let name = std::env::current_exe()?;
    let sent = send(&mut interface, &name, &mut File::open(&name)?)?;
    messages += sent.summary.count;
    part.end(sent)?;
    leave(interface)?;

    let part = Part::begin("bridge");
    let bridged = bridge(connect(&socket, "bridge")?, TIME)?;
    messages += 2 * bridged.count;
    part.end(bridged)?;

    let part = Part::begin("crowd");
    let crowd = crowd(&processes, &socket)?;
    messages += 2 * (crowd.talked + crowd.stopped);
    part.end(crowd)?;

    server.signal(Signal::SIGTERM)?;
    processes.reap(&server)?;
    Ok(writeln!(
        io::stdout(),
        "ok: {messages} messages, 0 lost, median round trip {} ns, {:.1} million messages/s",
        latencies.value_at_quantile(0.5),
        streamed.millions_per_second(),
    )?)
}

//! High throughput between two unrelated processes, in batches: they share nothing but the name of a socket.
//! `cargo run --release --example producer_consumer`
#![allow(clippy::print_stdout, reason = "it is a program")]

use std::{env, error::Error, ffi::OsStr, process, time::Instant};

use memenpsf::{Interface, Listener, Options, RecvError, zerocopy};

#[derive(Clone, Copy, zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable)]
#[zerocopy(crate = "memenpsf::zerocopy")]
#[repr(C)]
struct Trade {
    number: u64,
    price: f64,
}

fn main() -> Result<(), Box<dyn Error>> {
    // Started with the name of a socket, this program is the producer.
    env::args_os().nth(1).map_or_else(consume, |socket| produce(&socket))
}

fn produce(socket: &OsStr) -> Result<(), Box<dyn Error>> {
    let mut interface = Interface::<Trade>::connect(socket, &Options::new().name("producer").capacity(16_384))?;
    let mut batch: Vec<_> = (0..256).map(|number| Trade { number, price: 1.5 }).collect();
    for _ in 0..1_000_000 {
        let mut sent = 0;
        while sent < batch.len() {
            match interface.xmit_slice(&batch[sent..]) {
                Ok(n) => sent += n,
                Err(error) if error.is_full() => sent += interface.xmit_blocking(batch[sent]).map(|()| 1)?, // sleeps
                Err(error) => return Err(error.into()),
            }
        }
        batch.iter_mut().for_each(|trade| trade.number += 256);
    }
    Ok(interface.finish()?)
}

fn consume() -> Result<(), Box<dyn Error>> {
    let listener = Listener::bind(env::temp_dir().join(format!("producer_consumer.{}", process::id())))?;
    let mut producer = process::Command::new(env::current_exe()?).arg(listener.path()).spawn()?;
    let mut interface = listener.accept()?.open::<Trade>(&Options::new().name("consumer"))?;
    drop(listener); // and with it the name: nothing is left behind, whatever happens from here on
    let (start, mut batch, mut due) = (Instant::now(), Vec::new(), 0);
    loop {
        match interface.recv_blocking() {
            Ok(trade) => batch.push(trade),
            Err(RecvError::Finished) => break,
            Err(end) => return Err(format!("after {due} trades: {end}").into()),
        }
        // And whatever else is there.
        let _ = interface.recv_slice(&mut batch);
        for trade in batch.drain(..) {
            assert_eq!(trade.number, due, "another trade came than the one that was due");
            due += 1;
        }
    }
    println!("{due} trades in order, {:.0} million/s", due as f64 / start.elapsed().as_secs_f64() / 1e6);
    if producer.wait()?.success() { Ok(()) } else { Err("the producer failed".into()) }
}

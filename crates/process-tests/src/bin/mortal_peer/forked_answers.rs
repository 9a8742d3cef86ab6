//! What every operation of an inherited handle answers in a forked child. The calls are macros where several types have the
//! same methods.

use std::time::Duration;

use ipc_queue::{Consumer, Producer, RecvError, Stats, XmitErrorKind};
use memenpsf::Interface;

/// Longer than any test: a call that waited for it would be noticed.
pub(crate) const LONG: Duration = Duration::from_secs(600);

pub(crate) fn refused<T>(what: &str, result: Result<T, memenpsf::XmitError<u64>>) {
    match result {
        Ok(_) => panic!("{what} works in a forked child"),
        Err(error) => assert_eq!((error.kind, error.value), (XmitErrorKind::ForkedChild, 7), "{what}"),
    }
}

pub(crate) fn refused_empty<T>(what: &str, result: Result<T, memenpsf::XmitError<()>>) {
    match result {
        Ok(_) => panic!("{what} works in a forked child"),
        Err(error) => assert_eq!(error.kind, XmitErrorKind::ForkedChild, "{what}"),
    }
}

pub(crate) fn unreceived<T>(what: &str, result: Result<T, RecvError>) {
    match result {
        Ok(_) => panic!("{what} works in a forked child"),
        Err(error) => assert_eq!(error, RecvError::ForkedChild, "{what}"),
    }
}

macro_rules! transmitting {
    ($handle:ident) => {{
        use $crate::forked_answers::{LONG, refused, refused_empty};
        refused("xmit", $handle.xmit(7));
        refused_empty("xmit_ref", $handle.xmit_ref(&7));
        refused_empty("xmit_slice", $handle.xmit_slice(&[7, 8]));
        refused_empty("xmit_slice of nothing", $handle.xmit_slice(&[]));
        refused("xmit_blocking", $handle.xmit_blocking(7));
        refused("xmit_timeout", $handle.xmit_timeout(7, LONG));
        refused_empty("reserve", $handle.reserve(2));
        refused_empty("flush", $handle.flush(LONG));
        refused_empty("finish", $handle.finish());
        refused("xmit after finish", $handle.xmit(7));
        assert!($handle.acknowledged() <= $handle.published());
        assert_ne!(format!("{:?}", $handle), "");
    }};
}

macro_rules! receiving {
    ($handle:ident) => {{
        use $crate::forked_answers::{LONG, unreceived};
        assert_eq!($handle.recv(), None);
        unreceived("try_recv", $handle.try_recv());
        unreceived("recv_into", $handle.recv_into(&mut 0));
        assert_eq!($handle.recv_vectored(), None);
        unreceived("recv_slice", $handle.recv_slice(&mut Vec::new()));
        unreceived("recv_blocking", $handle.recv_blocking());
        unreceived("recv_timeout", $handle.recv_timeout(LONG));
        unreceived("peek", $handle.peek());
        unreceived("recv_ctrl_msg", $handle.recv_ctrl_msg());
        assert_ne!(format!("{:?}", $handle), "");
    }};
}

macro_rules! half {
    ($handle:ident) => {{
        assert!(!$handle.arm(), "a sleep would have no end");
        $handle.disarm();
        assert!(!$handle.is_connected());
        assert_eq!($handle.stats(), ipc_queue::Stats::default());
        assert_eq!(($handle.name(), $handle.peer_name(), $handle.capacity()), ("", "", 8));
    }};
}

pub(crate) use {half, receiving, transmitting};

/// What only an undivided interface has. Dropped in parts at the end.
pub(crate) fn whole(mut interface: Interface<u64>) {
    refused_empty("send_ctrl_msg", interface.send_ctrl_msg());
    assert!(!interface.is_connected());
    assert_eq!(interface.stats(), (Stats::default(), Stats::default()));
    {
        let (xmit, recv) = interface.halves();
        half!(xmit);
        half!(recv);
    }
    let (xmit, recv) = interface.split();
    let interface = Interface::reunite(xmit, recv).expect("halves of one interface");
    let (xmit, recv) = interface.split();
    drop(recv);
    drop(xmit);
}

pub(crate) fn producer(producer: &mut Producer<u64>) {
    let (stop, _writer) = std::io::pipe().unwrap();
    let stop = std::os::fd::AsFd::as_fd(&stop);
    refused("push", producer.push(7));
    refused_empty("push_ref", producer.push_ref(&7));
    refused_empty("push_slice", producer.push_slice(&[7, 8]));
    refused("push_blocking", producer.push_blocking(7));
    refused("push_timeout", producer.push_timeout(7, LONG));
    refused_empty("reserve", producer.reserve(2));
    refused_empty("wait_for", producer.wait_for(8, LONG));
    refused_empty("wait_unless", producer.wait_unless(stop));
    refused_empty("flush", producer.flush(LONG));
    refused_empty("finish", producer.finish());
    refused_empty("send_control", producer.send_control());
    assert!(producer.acknowledged() <= producer.published());
    half!(producer);
}

pub(crate) fn consumer(consumer: &mut Consumer<u64>) {
    let (stop, _writer) = std::io::pipe().unwrap();
    let stop = std::os::fd::AsFd::as_fd(&stop);
    unreceived("pop", consumer.pop());
    unreceived("pop_into", consumer.pop_into(&mut 0));
    unreceived("pop_slice", consumer.pop_slice(&mut [0; 4]));
    unreceived("pop_slice into nothing", consumer.pop_slice(&mut []));
    unreceived("pop_all", consumer.pop_all(&mut Vec::new()));
    unreceived("drain", consumer.drain());
    unreceived("pop_blocking", consumer.pop_blocking());
    unreceived("pop_timeout", consumer.pop_timeout(LONG));
    unreceived("wait_for", consumer.wait_for(1, LONG));
    unreceived("wait_unless", consumer.wait_unless(stop));
    unreceived("peek", consumer.peek());
    unreceived("recv_control", consumer.recv_control());
    half!(consumer);
}

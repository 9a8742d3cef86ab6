//! Futures that are dropped before they are ready, at every point at which they wait.

use std::{
    io::{PipeWriter, Read, pipe},
    pin::pin,
};

use local_socket::{
    Error, Handle,
    tokio::{Bootstrapper, Receiver, Sender, channel, raw_channel},
};

use crate::{
    full, held, poll_once, poll_times,
    rig::{Watchdog, descriptors},
};

/// A number, and a descriptor of which it shows when it is closed.
type Value = (u32, Handle<PipeWriter>);

/// A value, and how to see that no copy of its descriptor is open any more: reading, which ends only then.
fn value(number: u32) -> (Value, impl FnOnce()) {
    let (mut reader, writer) = pipe().unwrap();
    ((number, writer.into()), move || assert_eq!(reader.read(&mut [0]).unwrap(), 0))
}

/// The next that is sent is the next that is received.
async fn assert_usable(sender: &Sender<Value>, receiver: &Receiver<Value>) {
    let (value, assert_closed) = value(1234);
    sender.send(value).await.unwrap();
    assert_eq!(receiver.recv().await.unwrap().0, 1234);
    assert_closed();
}

#[tokio::test]
async fn a_send_that_is_dropped_has_sent_nothing_and_closed_what_it_had() {
    let _watchdog = Watchdog::new();
    held();
    let mut waited = 0;
    for polls in 0.. {
        let before = descriptors();
        let (sender, receiver) = channel().unwrap();
        let (value, assert_closed) = value(7);
        let outcome = {
            let sending = pin!(sender.send(value));
            poll_times(sending, polls).await
        };
        let sent = match outcome {
            Some(result) => {
                result.unwrap();
                assert_eq!(receiver.recv().await.unwrap().0, 7);
                true
            }
            None => {
                assert!(matches!(receiver.try_recv(), Err(Error::WouldBlock)), "after {polls} polls");
                waited += 1;
                false
            }
        };
        assert_closed();
        assert_usable(&sender, &receiver).await;
        drop((sender, receiver));
        assert_eq!(descriptors(), before, "after {polls} polls");
        if sent {
            break;
        }
    }
    assert!(waited > 0, "there is no point at which it waits");
}

#[tokio::test]
async fn a_send_that_is_dropped_while_there_is_no_room_has_sent_nothing() {
    let _watchdog = Watchdog::new();
    held();
    for size in [0, 100, 300_000] {
        for polls in 0..4 {
            let before = descriptors();
            let (sender, receiver, count) = full(|| vec![0; 10_000]);
            {
                let sending = pin!(sender.send(vec![0; size]));
                assert!(poll_times(sending, polls).await.is_none(), "there is no room");
            }
            for _ in 0..count {
                assert_eq!(receiver.recv().await.unwrap().len(), 10_000);
            }
            assert!(matches!(receiver.try_recv(), Err(Error::WouldBlock)), "{size} bytes, {polls} polls");
            sender.send(vec![1]).await.unwrap();
            assert_eq!(receiver.recv().await.unwrap(), [1]);
            drop((sender, receiver));
            assert_eq!(descriptors(), before, "{size} bytes, {polls} polls");
        }
    }
}

#[tokio::test]
async fn a_receive_that_is_dropped_has_received_nothing() {
    let _watchdog = Watchdog::new();
    held();
    let (sender, receiver) = channel::<Value>().unwrap();
    for polls in 0..4 {
        assert!(poll_times(pin!(receiver.recv()), polls).await.is_none(), "nothing was sent");
        assert_usable(&sender, &receiver).await;
    }
    for polls in 0..4 {
        // Of a channel about which the runtime knows nothing yet.
        let (sender, receiver) = channel().unwrap();
        receiver.set_pass_credentials(true).unwrap();
        let (value, assert_closed) = value(7);
        sender.send(value).await.unwrap();
        let outcome = poll_times(pin!(receiver.recv_with_credentials()), polls).await;
        let received = match outcome {
            Some(result) => result.unwrap().0,
            None => receiver.try_recv().unwrap(),
        };
        assert_eq!(received.0, 7, "after {polls} polls");
        drop(received);
        assert_closed();
        assert_usable(&sender, &receiver).await;
    }
}

#[tokio::test]
async fn a_send_to_a_child_that_is_dropped_has_sent_nothing_whether_the_child_was_there_or_not() {
    let _watchdog = Watchdog::new();
    held();
    for child_comes_after in 0..4 {
        let mut waited = 0;
        for polls in 0.. {
            let before = descriptors();
            let bootstrapper = Bootstrapper::<Value>::new().unwrap();
            let connect = || local_socket::Receiver::<Value>::connect(bootstrapper.path()).unwrap();
            let (first, assert_closed) = value(7);
            let (child, outcome) = {
                let mut sending = pin!(bootstrapper.send(first));
                assert!(poll_times(sending.as_mut(), child_comes_after).await.is_none(), "there is no child");
                (connect(), poll_times(sending, polls).await)
            };
            let sent = outcome.is_some();
            if let Some(result) = outcome {
                result.unwrap();
                assert_eq!(child.recv().unwrap().0, 7);
            } else {
                assert!(matches!(child.try_recv(), Err(Error::WouldBlock)), "after {polls} polls");
                waited += 1;
            }
            assert_closed();
            bootstrapper.send(value(8).0).await.unwrap();
            assert_eq!(child.recv().unwrap().0, 8);
            drop((bootstrapper, child));
            assert_eq!(descriptors(), before, "after {polls} polls");
            if sent {
                break;
            }
        }
        assert!(waited > 1, "it waits for the child, and then for the channel");
    }
}

#[tokio::test]
async fn a_raw_send_and_a_raw_receive_that_are_dropped_have_done_nothing() {
    let _watchdog = Watchdog::new();
    let (sender, receiver) = raw_channel().unwrap();
    // The runtime knows nothing of the socket yet, so it waits.
    assert!(poll_once(pin!(sender.send(b"dropped", &[]))).is_none());
    assert!(poll_times(pin!(receiver.recv()), 3).await.is_none(), "nothing was sent");
    sender.send(b"kept", &[]).await.unwrap();
    assert_eq!(receiver.recv().await.unwrap().0, b"kept");
    assert!(matches!(receiver.try_recv(), Err(Error::WouldBlock)));
}

/// The futures go from thread to thread, also of values that only one thread may use at a time.
#[allow(dead_code, reason = "it is enough that it compiles")]
fn futures_are_send() {
    use std::cell::Cell;

    fn send<T: Send>(_: T) {}
    fn of_channel(sender: &Sender<Cell<u32>>, receiver: &Receiver<Cell<u32>>, bootstrapper: &Bootstrapper<Cell<u32>>) {
        send(sender.send(Cell::new(1)));
        send(receiver.recv());
        send(receiver.recv_with_credentials());
        send(bootstrapper.send(Cell::new(1)));
    }
    fn of_raw(sender: &local_socket::tokio::RawSender, receiver: &local_socket::tokio::RawReceiver) {
        send(sender.send(&[], &[]));
        send(receiver.recv());
        send(receiver.recv_with_credentials());
    }
    fn share<T: Send + Sync>() {}
    share::<Sender<Cell<u32>>>();
    share::<Receiver<Cell<u32>>>();
    share::<Bootstrapper<Cell<u32>>>();
}

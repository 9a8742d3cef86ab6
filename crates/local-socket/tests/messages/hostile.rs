//! What a peer announces, and what it costs to refuse it.

use std::thread;

use local_socket::{Error, Socket};
use rustix::net::sockopt::{set_socket_send_buffer_size, set_socket_send_buffer_size_force, socket_send_buffer_size};

use crate::{
    allocations::asked_for,
    both::{Form, in_both_forms, pair},
};

in_both_forms! {
    a_prefix_of_four_gib_before_twelve_bytes_costs_next_to_nothing
    no_more_is_allocated_than_the_message_has
}

/// More than the bookkeeping of any call takes.
const NEXT_TO_NOTHING: usize = 16 << 10;

/// The room that this thread receives into is there from here on.
async fn warmed_up<S: Form>((here, there): (S, S)) -> (S, S) {
    here.send_slice(b"", &[]).await.unwrap();
    there.recv_vec::<[_; 0]>(0).await.unwrap();
    (here, there)
}

async fn a_prefix_of_four_gib_before_twelve_bytes_costs_next_to_nothing<S: Form>() {
    let (here, there) = warmed_up(pair::<S>()).await;
    for announced in [4 << 30, u64::MAX, u64::MAX - 8, 13, 11, 0] {
        let message = [&announced.to_le_bytes()[..], &[7; 12]].concat();
        let wrong = |error| matches!(error, Error::WrongLength { expected, got: 12 } if expected == announced);
        here.send_slice(&message, &[]).await.unwrap();
        let (result, bytes) = asked_for(there.recv_into_buf_with_len::<[_; 0]>()).await;
        assert!(wrong(result.unwrap_err()) && bytes < NEXT_TO_NOTHING, "{announced}: {bytes} bytes");
        here.send_slice(&message, &[]).await.unwrap();
        let mut buffer = [0; 20];
        let (result, bytes) = asked_for(there.recv_slice_with_len::<[_; 0]>(&mut buffer)).await;
        assert!(wrong(result.unwrap_err()) && bytes < NEXT_TO_NOTHING, "{announced}: {bytes} bytes");
    }
    here.send_slice_with_len(b"next", &[]).await.unwrap();
    assert_eq!(there.recv_into_buf_with_len::<[_; 0]>().await.unwrap().0, b"next");
}

async fn no_more_is_allocated_than_the_message_has<S: Form>() {
    let (here, there) = warmed_up(pair::<S>()).await;
    here.send_slice(&[7; 100], &[]).await.unwrap();
    let (result, bytes) = asked_for(there.recv_vec::<[_; 0]>(usize::MAX)).await;
    assert!(result.unwrap().0 == [7; 100] && bytes < NEXT_TO_NOTHING, "{bytes} bytes");
    here.send_slice(&[7; 100_000], &[]).await.unwrap();
    let (result, bytes) = asked_for(there.recv_vec::<[_; 0]>(10)).await;
    let told = matches!(result, Err(Error::TooLong { length: 100_000, room: 10 }));
    assert!(told && bytes < 100_000 + NEXT_TO_NOTHING, "{bytes} bytes");
}

/// Two ends of which the first can send a million bytes at once, if the system lets it, and how many it can.
#[cfg_attr(not(any(feature = "cbor", feature = "json", feature = "postcard")), expect(dead_code))]
fn wide<S: Form>() -> (S, S, usize) {
    const MILLION: usize = 1_000_000;
    let (here, there) = Socket::pair().unwrap();
    if set_socket_send_buffer_size_force(&here, MILLION).is_err() {
        set_socket_send_buffer_size(&here, MILLION).unwrap();
    }
    let most = MILLION.min(socket_send_buffer_size(&here).unwrap() - 32);
    (S::try_from(here).unwrap(), S::try_from(there).unwrap(), most)
}

/// Runs a test on a thread with little stack.
#[cfg_attr(not(any(feature = "cbor", feature = "json", feature = "postcard")), expect(dead_code))]
fn on_small_stack<F: Future<Output = ()>>(test: impl FnOnce() -> F + Send + 'static) {
    let thread = thread::Builder::new().stack_size(128 << 10);
    thread.spawn(|| crate::both::run(async { test().await })).unwrap().join().unwrap();
}

#[cfg(any(feature = "cbor", feature = "json", feature = "postcard"))]
mod values {
    use serde::Deserialize;

    use super::*;

    /// One byte a level, in each encoding.
    #[derive(Debug, Deserialize)]
    #[serde(transparent)]
    struct Nested {
        #[expect(dead_code, reason = "no value of it is ever made")]
        inner: Vec<Nested>,
    }

    macro_rules! values {
        ($feature:literal, $module:ident, $recv:ident, $level:expr, $four_gib:expr) => {
            #[cfg(feature = $feature)]
            mod $module {
                use super::*;

                async fn a_million_levels<S: Form>() {
                    let (here, there, most) = wide::<S>();
                    here.send_slice(&vec![$level; most], &[]).await.unwrap();
                    let error = there.$recv::<Nested, [_; 0]>().await.unwrap_err();
                    assert!(matches!(error, Error::Decode(_)), "{error:?}");
                    assert!(error.to_string().contains("nested deeper than 128 levels"), "{error}");
                    here.send_slice(b"next", &[]).await.unwrap();
                    assert_eq!(there.recv_vec::<[_; 0]>(4).await.unwrap().0, b"next");
                }

                async fn four_gib<S: Form>() {
                    let (here, there) = warmed_up(pair::<S>()).await;
                    let message = &$four_gib[..];
                    here.send_slice(message, &[]).await.unwrap();
                    let (result, bytes) = asked_for(there.$recv::<Vec<u64>, [_; 0]>()).await;
                    assert!(matches!(result, Err(Error::Decode(_))), "{result:?}");
                    assert!(bytes < NEXT_TO_NOTHING, "{bytes} bytes");
                }

                #[test]
                fn a_million_levels_are_refused_on_a_small_stack() {
                    on_small_stack(a_million_levels::<Socket>);
                    #[cfg(feature = "tokio")]
                    on_small_stack(a_million_levels::<local_socket::tokio::Socket>);
                }

                #[test]
                fn four_gib_of_elements_in_twenty_bytes_cost_next_to_nothing() {
                    crate::both::run(four_gib::<Socket>());
                    #[cfg(feature = "tokio")]
                    crate::both::run(four_gib::<local_socket::tokio::Socket>());
                }
            }
        };
    }

    values!("cbor", cbor, recv_cbor, 0x81, b"\x9b\0\0\0\x01\0\0\0\0\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01");
    // Which announces nothing.
    values!("json", json, recv_json, b'[', b"[4294967296,4294967,");
    values!(
        "postcard",
        postcard,
        recv_postcard,
        1,
        b"\x80\x80\x80\x80\x10\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01"
    );
}

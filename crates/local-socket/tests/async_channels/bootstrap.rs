//! Meeting a child.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    pin::pin,
    time::{Duration, Instant},
};

use local_socket::{
    Error,
    tokio::{Bootstrapper, Receiver, Sender, channel},
};
use tokio::time::timeout;

use crate::{
    held, poll_times,
    rig::{Directory, HANG, Peer, Watchdog, descriptors},
    runtimes,
};

/// Sends back what it is sent, by the sender that comes first; in a process of its own, with tokio.
pub(crate) fn echo(path: &str) {
    let runtime = runtimes().next().unwrap();
    runtime.block_on(async {
        let first = Receiver::<Sender<String>>::connect(path).unwrap();
        let back = first.recv().await.unwrap();
        // The next values are of another type.
        let rest: Receiver<String> = first.into_raw_receiver().into();
        while let Ok(text) = rest.recv().await {
            back.send(text).await.unwrap();
        }
    });
}

fn directory_of(path: &Path) -> PathBuf {
    path.parent().unwrap().to_owned()
}

/// What the echo is sent: the type of its values changes after the first.
#[derive(serde::Serialize)]
#[serde(untagged)]
enum Sent {
    Back(Sender<String>),
    Text(String),
}

#[test]
fn a_child_gets_several_values_and_answers_by_an_end_among_them() {
    held();
    for runtime in runtimes() {
        let _watchdog = Watchdog::new();
        let mut child = runtime.block_on(async {
            let bootstrapper = Bootstrapper::new().unwrap();
            let directory = directory_of(bootstrapper.path());
            assert_eq!(fs::metadata(&directory).unwrap().permissions().mode() & 0o7777, 0o700);
            let child = Peer::start("echo", &[bootstrapper.path().to_str().unwrap()]);
            let (back, answers) = channel::<String>().unwrap();
            bootstrapper.send(Sent::Back(back)).await.unwrap();
            assert!(!directory.exists(), "nothing is left on disk from here on");
            for text in ["", "second", &"long".repeat(100_000)] {
                bootstrapper.send(Sent::Text(text.to_owned())).await.unwrap();
                assert_eq!(answers.recv().await.unwrap(), text);
            }
            drop(bootstrapper);
            assert!(matches!(answers.recv().await, Err(Error::EndOfFile)), "the child ends with the channel");
            child
        });
        assert!(child.wait().success());
    }
}

#[tokio::test]
async fn the_wait_for_a_child_ends_in_time_and_the_next_waits_again() {
    const TIME: Duration = Duration::from_millis(50);
    let _watchdog = Watchdog::new();
    let mut bootstrapper = Bootstrapper::<u32>::new().unwrap();
    bootstrapper.set_timeout(TIME);
    for number in 0..2 {
        let start = Instant::now();
        let refused = bootstrapper.send(number).await.unwrap_err();
        assert!(matches!(refused.error, Error::TimedOut), "{refused:?}");
        assert_eq!(refused.value, number);
        assert!((TIME..HANG * TIME).contains(&start.elapsed()), "{:?}", start.elapsed());
    }
    let child = Receiver::<u32>::connect(bootstrapper.path()).unwrap();
    bootstrapper.send(2).await.unwrap();
    assert_eq!(child.recv().await.unwrap(), 2);
}

#[test]
fn two_tasks_that_send_first_at_once_reach_the_same_child() {
    held();
    for runtime in runtimes() {
        let _watchdog = Watchdog::new();
        runtime.block_on(async {
            let bootstrapper = Bootstrapper::<u32>::new().unwrap();
            let path = bootstrapper.path().to_owned();
            let child = async {
                tokio::task::yield_now().await;
                let child = Receiver::<u32>::connect(&path).unwrap();
                let mut numbers = [child.recv().await.unwrap(), child.recv().await.unwrap()];
                numbers.sort_unstable();
                numbers
            };
            let (one, other, numbers) = tokio::join!(bootstrapper.send(1), bootstrapper.send(2), child);
            one.unwrap();
            other.unwrap();
            assert_eq!(numbers, [1, 2]);
        });
    }
}

#[tokio::test]
async fn who_waits_for_the_child_is_not_left_behind_by_who_finds_it_at_once() {
    let _watchdog = Watchdog::new();
    let bootstrapper = Bootstrapper::<u32>::new().unwrap();
    let mut first = pin!(bootstrapper.send(1));
    assert!(poll_times(first.as_mut(), 3).await.is_none(), "there is no child");
    let child = Receiver::<u32>::connect(bootstrapper.path()).unwrap();
    // Both at once: the second is polled before the runtime has told the first that the child is there.
    let (two, one) = tokio::join!(bootstrapper.send(2), timeout(Duration::from_secs(10), first));
    two.unwrap();
    one.expect("it is woken").unwrap();
    let mut numbers = [child.recv().await.unwrap(), child.recv().await.unwrap()];
    numbers.sort_unstable();
    assert_eq!(numbers, [1, 2]);
}

#[tokio::test]
async fn who_comes_second_is_hung_up_on() {
    let _watchdog = Watchdog::new();
    let bootstrapper = Bootstrapper::<u32>::new().unwrap();
    let connect = || Receiver::<u32>::connect(bootstrapper.path());
    let (child, another) = (connect().unwrap(), connect().unwrap());
    bootstrapper.send(1).await.unwrap();
    assert_eq!(child.recv().await.unwrap(), 1);
    assert!(matches!(another.recv().await, Err(Error::EndOfFile)));
    assert_eq!(connect().unwrap_err().kind(), std::io::ErrorKind::NotFound);
}

#[tokio::test]
async fn a_path_of_ones_own_is_removed_and_nothing_that_lies_there_is_taken() {
    let _watchdog = Watchdog::new();
    let directory = Directory::new();
    let path = directory.path("here");
    fs::write(&path, "somebody's").unwrap();
    assert_eq!(Bootstrapper::<u32>::bind(&path).unwrap_err().kind(), std::io::ErrorKind::AddrInUse);
    assert_eq!(fs::read(&path).unwrap(), b"somebody's");
    fs::remove_file(&path).unwrap();

    let bootstrapper = Bootstrapper::<u32>::bind(&path).unwrap();
    let child = Receiver::<u32>::connect(bootstrapper.path()).unwrap();
    bootstrapper.send(1).await.unwrap();
    assert_eq!(child.recv().await.unwrap(), 1);
    assert!(directory.names().is_empty(), "the child has come");
    drop(Bootstrapper::<u32>::bind(&path).unwrap());
    assert!(directory.names().is_empty(), "nobody has come");
}

#[tokio::test]
async fn a_bootstrapper_for_which_nobody_came_leaves_nothing() {
    let _watchdog = Watchdog::new();
    held();
    let before = descriptors();
    for polls in 0..4 {
        let bootstrapper = Bootstrapper::<String>::new().unwrap();
        let directory = directory_of(bootstrapper.path());
        {
            let sending = pin!(bootstrapper.send("dropped".to_owned()));
            assert!(poll_times(sending, polls).await.is_none(), "there is no child");
        }
        assert!(directory.exists(), "a child may still come");
        drop(bootstrapper);
        assert!(!directory.exists());
        assert_eq!(descriptors(), before);
    }
}

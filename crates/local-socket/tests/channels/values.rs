//! Values of all kinds, and ends of channels in them.

use std::{
    collections::{BTreeMap, HashMap},
    fmt::Debug,
    fs::File,
    io::{Read, Write},
};

use local_socket::{Handle, Receiver, Sender, channel, duplex, raw_channel};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    by_hand::{files, identities},
    rig::{Watchdog, descriptors},
};

fn goes_through<T: Serialize + DeserializeOwned + PartialEq + Debug + Clone>(value: T) {
    let (sender, receiver) = channel().unwrap();
    sender.send(value.clone()).unwrap();
    assert_eq!(receiver.recv().unwrap(), value);
}

#[test]
fn what_has_no_bytes_goes_through() {
    let _watchdog = Watchdog::new();
    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    struct Unit;
    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    struct Empty {}
    goes_through(());
    goes_through(Unit);
    goes_through(Empty {});
    goes_through([(); 3]);
    goes_through(vec![(); 50_000]);
    let (sender, receiver) = channel().unwrap();
    for _ in 0..3 {
        sender.send(()).unwrap();
    }
    drop(sender);
    for _ in 0..3 {
        receiver.recv().unwrap();
    }
    assert!(matches!(receiver.recv(), Err(local_socket::Error::EndOfFile)));
    let (sender, receiver) = raw_channel().unwrap();
    sender.send(b"", &[]).unwrap();
    let (bytes, fds) = receiver.recv().unwrap();
    assert!(bytes.is_empty() && fds.is_empty());
}

#[test]
fn values_of_all_kinds_go_through() {
    let _watchdog = Watchdog::new();
    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    enum Many {
        Unit,
        One(i128),
        Two(f64, char),
        Named { text: String, inner: Option<Box<Many>> },
    }
    goes_through(Many::Unit);
    goes_through(vec![Many::One(i128::MIN), Many::Two(0.1, 'ß')]);
    goes_through(Many::Named { text: "ä\0".into(), inner: Some(Box::new(Many::Unit)) });
    goes_through(vec![7_u8; 5 << 20]);
    goes_through(String::from("ß").repeat(300_000));
    goes_through(HashMap::from([("a".to_owned(), vec![1, 2]), (String::new(), vec![])]));
    goes_through((0..10_000).map(|key| (key, key.to_string())).collect::<BTreeMap<u32, _>>());
    goes_through((None::<u8>, Some(Some(())), Ok::<u8, String>(7)));
}

#[test]
fn ends_of_channels_go_inside_other_values() {
    let _watchdog = Watchdog::new();
    let before = descriptors();
    {
        #[derive(Serialize, Deserialize)]
        struct Request {
            answer: Option<Sender<String>>,
            many: Vec<Sender<u8>>,
            source: Receiver<i64>,
            by_name: HashMap<String, Receiver<()>>,
        }
        let (requests, received) = channel::<Request>().unwrap();
        let (answer, answers) = channel().unwrap();
        let (many, bytes) = channel().unwrap();
        let (numbers, source) = channel().unwrap();
        let (units, unit) = channel().unwrap();
        let request = Request {
            answer: Some(answer),
            many: vec![many.clone(), many],
            source,
            by_name: HashMap::from([("one".into(), unit)]),
        };
        requests.send(request).unwrap();
        let none = Request { answer: None, many: vec![], source: channel().unwrap().1, by_name: HashMap::new() };
        requests.send(none).unwrap();
        let request = received.recv().unwrap();
        request.answer.unwrap().send("answer".into()).unwrap();
        assert_eq!(answers.recv().unwrap(), "answer");
        for (number, sender) in request.many.iter().enumerate() {
            sender.send(number as u8).unwrap();
        }
        assert_eq!([bytes.recv().unwrap(), bytes.recv().unwrap()], [0, 1]);
        numbers.send(-7).unwrap();
        assert_eq!(request.source.recv().unwrap(), -7);
        units.send(()).unwrap();
        request.by_name["one"].recv().unwrap();
        assert!(received.recv().unwrap().answer.is_none());
    }
    assert_eq!(descriptors(), before);
}

#[test]
fn what_was_sent_before_a_receiver_moves_is_not_lost() {
    let _watchdog = Watchdog::new();
    let (numbers, receiver) = channel::<u32>().unwrap();
    let (receivers, received) = channel::<Receiver<u32>>().unwrap();
    for number in 0..50 {
        numbers.send(number).unwrap();
    }
    receivers.send(receiver).unwrap();
    drop((numbers, receivers));
    let receiver = received.recv().unwrap();
    for number in 0..50 {
        assert_eq!(receiver.recv().unwrap(), number);
    }
    assert!(matches!(receiver.recv(), Err(local_socket::Error::EndOfFile)));
}

#[test]
fn a_duplex_channel_has_another_type_for_each_direction() {
    let _watchdog = Watchdog::new();
    let ((ask, answers), (answer, questions)) = duplex::<String, u64>().unwrap();
    for question in ["a", "bcd"] {
        ask.send(question.into()).unwrap();
        answer.send(questions.recv().unwrap().len() as u64).unwrap();
    }
    assert_eq!([answers.recv().unwrap(), answers.recv().unwrap()], [1, 3]);
    drop(ask);
    assert!(matches!(questions.recv(), Err(local_socket::Error::EndOfFile)));
    answer.send(9).unwrap();
    assert_eq!(answers.recv().unwrap(), 9, "the other direction is open");
}

#[test]
fn a_handle_is_whatever_owns_a_descriptor() {
    let _watchdog = Watchdog::new();
    let (sender, receiver) =
        channel::<(Handle<File>, Handle<std::net::TcpListener>, Handle<std::io::PipeWriter>)>().unwrap();
    let file = files(1).remove(0);
    let identity = identities(&[&file]);
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let (mut reader, writer) = std::io::pipe().unwrap();
    sender.send((Handle::new(file.into()), listener.into(), writer.into())).unwrap();
    let (file, listener, writer) = receiver.recv().unwrap();
    assert_eq!(identities(&[file]), identity);
    assert_eq!(listener.into_inner().local_addr().unwrap(), address);
    writer.into_inner().write_all(b"through").unwrap();
    let mut text = String::new();
    reader.read_to_string(&mut text).unwrap();
    assert_eq!(text, "through");
}

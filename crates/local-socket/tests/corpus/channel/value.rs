//! Values of a type that has everything in it.

use std::{
    collections::BTreeMap,
    fmt::Debug,
    os::fd::{AsFd, OwnedFd},
};

use local_socket::{Handle, RawReceiver, RawSender, Receiver, Sender};
use serde::{Deserialize, Serialize};

use super::descriptors::{Identity, identity};

#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Value {
    Nothing,
    Truth(bool),
    Small(u8),
    Wide(i128, u128),
    Letter(char),
    Real(f64),
    Text(String),
    Bytes(Vec<u8>),
    Units(Vec<()>),
    Inner(Box<Value>),
    Maybe(Option<Box<Value>>),
    Many(Vec<Value>),
    Pair(Box<(Value, i16, Value)>),
    Map(BTreeMap<String, Value>),
    Named { name: String, unit: (), file: Option<Handle<OwnedFd>> },
    File(Handle<OwnedFd>),
    Sender(Sender<Value>),
    Receiver(Receiver<Value>),
    Raw(RawSender, RawReceiver),
}

/// What must be the same of a value that was encoded and decoded once more.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Look {
    pub(crate) text: String,
    pub(crate) fds: Vec<Identity>,
    /// Of which there may be more than a message has bytes, and how many more depends on how it was written.
    pub(crate) units: usize,
    /// In a map, what comes twice under one key is there once.
    pub(crate) maps: usize,
}

impl Look {
    pub(crate) fn of(value: &Value) -> Self {
        let mut look = Self::default();
        look.at(value);
        look
    }

    fn write(&mut self, what: &dyn Debug) {
        self.text += &format!("{what:?} ");
    }

    fn fd(&mut self, kind: &str, fd: impl AsFd) {
        self.text += kind;
        self.fds.push(identity(fd));
    }

    fn at(&mut self, value: &Value) {
        match value {
            Value::Inner(inner) => {
                self.text += "Inner ";
                self.at(inner);
            }
            Value::Maybe(maybe) => {
                self.write(&maybe.is_some());
                maybe.iter().for_each(|inner| self.at(inner));
            }
            Value::Many(many) => {
                self.write(&many.len());
                many.iter().for_each(|inner| self.at(inner));
            }
            Value::Pair(pair) => {
                self.at(&pair.0);
                self.write(&pair.1);
                self.at(&pair.2);
            }
            Value::Map(map) => {
                self.maps += 1;
                for (key, inner) in map {
                    self.write(key);
                    self.at(inner);
                }
            }
            Value::Units(units) => {
                self.units += units.len();
                self.write(&units.len());
            }
            Value::Named { name, unit: (), file } => {
                self.write(name);
                file.iter().for_each(|file| self.fd("named ", file));
            }
            Value::File(file) => self.fd("file ", file),
            Value::Sender(sender) => self.fd("sender ", sender),
            Value::Receiver(receiver) => self.fd("receiver ", receiver),
            Value::Raw(sender, receiver) => {
                self.fd("raw sender ", sender);
                self.fd("raw receiver ", receiver);
            }
            plain => self.write(plain),
        }
    }
}

//! What holds in every format.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    net::Ipv4Addr,
    thread,
};

use proptest::prelude::*;
use serde::{
    Deserialize, Serialize, Serializer,
    de::{DeserializeOwned, IgnoredAny},
    ser::Error as _,
};

use super::*;

#[cfg(any(feature = "cbor", feature = "postcard"))]
mod lengths;

/// A message nested as deep as may be, or deeper, is decoded on a stack of so many bytes.
const SMALL_STACK: usize = 128 << 10;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Tree {
    Leaf,
    Number(f64),
    Wide(i128, u128),
    Text(String),
    Bytes(Option<Vec<u8>>),
    Inner(Box<Tree>),
    Many(Vec<Tree>),
    Named { label: char, by_name: BTreeMap<String, Tree>, unit: () },
}

impl Tree {
    /// So many levels: an enum is one, a sequence in it another.
    fn nested(levels: usize) -> Self {
        match levels {
            1 => Self::Leaf,
            2 => Self::Inner(Box::new(Self::Leaf)),
            _ => Self::Many(vec![Self::nested(levels - 2)]),
        }
    }
}

fn trees() -> impl Strategy<Value = Tree> {
    let leaf = prop_oneof![
        Just(Tree::Leaf),
        any::<f64>().prop_map(Tree::Number),
        any::<(i128, u128)>().prop_map(|(signed, unsigned)| Tree::Wide(signed, unsigned)),
        ".*".prop_map(Tree::Text),
        any::<Option<Vec<u8>>>().prop_map(Tree::Bytes),
    ];
    leaf.prop_recursive(6, 64, 8, |inner| {
        prop_oneof![
            inner.clone().prop_map(|tree| Tree::Inner(Box::new(tree))),
            prop::collection::vec(inner.clone(), 0..8).prop_map(Tree::Many),
            (any::<char>(), prop::collection::btree_map(".*", inner, 0..4)).prop_map(|(label, by_name)| Tree::Named {
                label,
                by_name,
                unit: ()
            }),
        ]
    })
}

fn encoded<C: Codec>(value: &(impl Serialize + ?Sized)) -> Vec<u8> {
    C::encode(value, Vec::new()).expect("a value that can be encoded")
}

/// The text of the error that decoding must end with.
fn refusal<C: Codec, T: DeserializeOwned>(bytes: &[u8]) -> String {
    let text = C::decode::<T>(bytes).map(drop).expect_err("what must be refused").to_string();
    assert!(!text.starts_with(char::is_uppercase), "{text}");
    text
}

fn survives<C: Codec, T: Serialize + DeserializeOwned + PartialEq + fmt::Debug>(value: T) {
    assert_eq!(C::decode::<T>(&encoded::<C>(&value)).expect("what was encoded"), value);
}

fn on_small_stack(run: impl FnOnce() + Send + 'static) {
    let thread = thread::Builder::new().stack_size(SMALL_STACK).spawn(run).expect("a thread");
    thread.join().expect("a thread that does not panic");
}

fn values_survive<C: Codec>() {
    proptest!(|(tree in trees())| survives::<C, _>(tree));
    survives::<C, _>((
        Some(i128::MIN),
        u128::MAX,
        'ß',
        Ipv4Addr::LOCALHOST,
        String::from("ä"),
        HashMap::from([(1, ())]),
    ));
}

fn a_value_is_appended<C: Codec>() {
    let bytes = C::encode("text", b"before".to_vec()).expect("a text");
    assert_eq!(bytes.strip_prefix(b"before"), Some(&*encoded::<C>("text")));
}

fn a_value_that_fails_halfway_says_why<C: Codec>() {
    struct Stubborn;
    impl Serialize for Stubborn {
        fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            Err(S::Error::custom("no"))
        }
    }
    let text = C::encode(&("half", Stubborn), Vec::new()).expect_err("a value that refuses").to_string();
    assert!(!text.starts_with(char::is_uppercase), "{text}");
}

fn values_without_content_survive<C: Codec>() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Unit;
    survives::<C, _>(());
    survives::<C, _>(Unit);
    survives::<C, _>(vec![(); 50_000]);
    survives::<C, _>(Vec::<u8>::new());
    survives::<C, _>(String::new());
}

fn bytes_behind_the_value_are_refused<C: Codec>() {
    let mut bytes = encoded::<C>(&[1u16, 2]);
    bytes.push(b'a');
    assert_eq!(refusal::<C, [u16; 2]>(&bytes), "1 byte behind the value");
    bytes.extend(b"bc");
    assert_eq!(refusal::<C, [u16; 2]>(&bytes), "3 bytes behind the value");
}

fn every_message_cut_short_is_refused<C: Codec>() {
    let tree = Tree::Many(vec![
        Tree::Wide(7, 7 << 70),
        Tree::Named { label: 'ß', by_name: BTreeMap::from([("key".into(), Tree::Number(0.1))]), unit: () },
        Tree::Bytes(Some(vec![1, 200, 3])),
    ]);
    let bytes = encoded::<C>(&tree);
    for length in 0..bytes.len() {
        assert_eq!(refusal::<C, Tree>(&bytes[..length]), ENDS_EARLY, "of {bytes:?}, {length}");
    }
}

fn as_many_levels_as_may_be_fit_a_small_stack_and_one_more_is_refused<C: Codec>() {
    let (deepest, deeper) = (encoded::<C>(&Tree::nested(128)), encoded::<C>(&Tree::nested(129)));
    on_small_stack(move || {
        assert_eq!(C::decode::<Tree>(&deepest).expect("128 levels"), Tree::nested(128));
        let text = refusal::<C, Tree>(&deeper);
        assert!(text.starts_with("nested deeper than 128 levels"), "{text}");
    });
}

fn a_million_levels_are_refused_on_a_small_stack<C: Codec>() {
    for around in [|tree| Tree::Inner(Box::new(tree)), |tree| Tree::Many(vec![tree])] {
        let (leaf, one) = (encoded::<C>(&Tree::Leaf), encoded::<C>(&around(Tree::Leaf)));
        let opening = one.windows(leaf.len()).rposition(|window| window == leaf).expect("a leaf in it");
        let bytes = one[..opening].repeat(1_000_000);
        on_small_stack(move || {
            let text = refusal::<C, Tree>(&bytes);
            assert!(text.starts_with("nested deeper than 128 levels"), "{text}");
        });
    }
}

fn types_that_contain_themselves_without_a_byte_are_refused_on_a_small_stack<C: Codec>() {
    #[derive(Deserialize)]
    struct Newtype(#[expect(dead_code)] Box<Newtype>);
    #[derive(Deserialize)]
    #[serde(transparent)]
    struct Optional(#[expect(dead_code)] Option<Box<Optional>>);
    on_small_stack(|| {
        let bytes = vec![1; 1_000_000];
        for text in [refusal::<C, Newtype>(&bytes), refusal::<C, Optional>(&bytes)] {
            assert!(text.starts_with("nested deeper than 128 levels"), "{text}");
        }
    });
}

fn as_many_elements_as_bytes_are_allowed<C: Codec>() {
    survives::<C, _>(vec![Vec::<u8>::new(); 300_000]);
    survives::<C, _>((0..200_000).map(|key| (key, ())).collect::<BTreeMap<u32, ()>>());
    survives::<C, _>(vec![vec![BTreeMap::from([(0u8, Some(0u8))]); 10]; 30_000]);
}

fn fields_do_not_count_as_elements<C: Codec>() {
    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    struct Pair(u8, ());
    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    struct Named {
        first: u8,
        second: (),
    }
    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    enum Either {
        Pair((), ()),
        Named { first: (), second: () },
    }
    survives::<C, _>(vec![(1u8, ()); 100_000]);
    survives::<C, _>(vec![Pair(1, ()); 100_000]);
    survives::<C, _>(vec![Named { first: 1, second: () }; 100_000]);
    survives::<C, _>(vec![Either::Pair((), ()); 100_000]);
    survives::<C, _>(vec![Either::Named { first: (), second: () }; 100_000]);
}

fn any_bytes_are_decoded_or_refused<C: Codec>() {
    type Mixed = HashMap<String, (Option<i64>, Vec<Tree>, char)>;
    proptest!(|(bytes: Vec<u8>)| {
        let _ = C::decode::<Tree>(&bytes);
        let _ = C::decode::<Mixed>(&bytes);
        let _ = C::decode::<IgnoredAny>(&bytes);
    });
    proptest!(|(tree in trees(), changes: Vec<(prop::sample::Index, u8)>)| {
        let mut bytes = encoded::<C>(&tree);
        for (index, byte) in changes {
            *index.get_mut(&mut bytes) = byte;
        }
        let _ = C::decode::<Tree>(&bytes);
        let _ = C::decode::<IgnoredAny>(&bytes);
    });
}

/// Types that ask the format what comes next, as JSON and CBOR can tell.
#[cfg(any(feature = "cbor", feature = "json"))]
fn what_describes_itself_survives<C: Codec>() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(untagged)]
    enum Untagged {
        Flag(bool),
        Signed(i64),
        Unsigned(u64),
        Float(f64),
        Text(String),
        Many(Vec<Untagged>),
        Maybe(Option<bool>),
    }
    use Untagged::*;
    survives::<C, _>(Many(vec![Flag(true), Signed(-1), Unsigned(u64::MAX), Many(vec![]), Float(0.5), Maybe(None)]));
    survives::<C, _>(Text("text".into()));
    assert!(refusal::<C, Untagged>(&encoded::<C>(&Tree::nested(131))).contains("128 levels"));

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Outer {
        here: u8,
        #[serde(flatten)]
        rest: BTreeMap<String, Option<u8>>,
    }
    survives::<C, _>(Outer { here: 1, rest: BTreeMap::from([("a".into(), None), ("b".into(), Some(2))]) });
}

#[cfg(feature = "cbor")]
#[test]
fn what_only_cbor_has_survives() {
    use ciborium::{Value, cbor};
    survives::<Cbor, _>(Value::Tag(0, Box::new(Value::Tag(1, Box::new(Value::Bytes(vec![0; 5000]))))));
    survives::<Cbor, _>(cbor!([[i64::MIN, null, 0.5, "text"], {"map" => [u64::MAX, true]}]).expect("a value"));
    survives::<Cbor, _>(Value::Integer((-1i128 << 64).try_into().expect("an integer")));
    let tags = [0xc1].repeat(1_000_000);
    on_small_stack(move || assert_eq!(refusal::<Cbor, Value>(&tags), "nested deeper than 128 levels"));
}

#[cfg(feature = "json")]
#[test]
fn white_space_around_json_belongs_to_it() {
    assert_eq!(Json::decode::<u8>(b" \t1\r\n").expect("a number"), 1);
    assert_eq!(refusal::<Json, u8>(b"1 \n 23"), "2 bytes behind the value");
}

macro_rules! in_format {
    ($feature:literal $format:ident $codec:ident: $($test:ident)*) => {
        #[cfg(feature = $feature)]
        mod $format {
            $(#[test]
            fn $test() {
                super::$test::<crate::codec::$codec>();
            })*
        }
    };
}

macro_rules! in_each_format {
    ($($test:ident)* ; $($self_describing:ident)*) => {
        in_format! { "cbor" cbor Cbor: $($test)* $($self_describing)* }
        in_format! { "json" json Json: $($test)* $($self_describing)* }
        in_format! { "postcard" postcard Postcard: $($test)* }
    };
}

in_each_format! {
    values_survive
    a_value_is_appended
    a_value_that_fails_halfway_says_why
    values_without_content_survive
    bytes_behind_the_value_are_refused
    every_message_cut_short_is_refused
    as_many_levels_as_may_be_fit_a_small_stack_and_one_more_is_refused
    a_million_levels_are_refused_on_a_small_stack
    types_that_contain_themselves_without_a_byte_are_refused_on_a_small_stack
    as_many_elements_as_bytes_are_allowed
    fields_do_not_count_as_elements
    any_bytes_are_decoded_or_refused;
    what_describes_itself_survives
}

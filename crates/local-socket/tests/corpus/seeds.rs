//! Inputs made by hand, from which the fuzzer starts and comes further.

/// The bytes of each.
pub(crate) fn all() -> Vec<Vec<u8>> {
    let ways = (0..8).flat_map(|written_as| (0..3).map(move |kind| input(kind, written_as, b"./name")));
    let paths = [
        &b""[..],
        b"nul\0inside",
        b"bare",
        b"./dead",
        b"./live",
        b"./file",
        b"./link",
        b"./folder",
        b"folder/name",
        b"folder/../name",
        b"../name",
        b"../runtime/name",
        b"../../name",
        b"/name",
        b"file/name",
        b"none/name",
        b"link/name",
        b"folder/",
        b"folder/.",
        b"folder/..",
        b"./",
        b".",
        b"..",
        b"./new/",
        b"./new/.",
        b".//name",
        b"./\xff\n",
        b"./.1.0",
        b"\xff",
        b"@name",
    ];
    let paths = paths.into_iter().flat_map(|path| (0..3).map(move |kind| input(kind, 2, path)));
    let lengths = [50, 95, 96, 100, 101, 105, 106, 107, 108, 200];
    let lengths = lengths.into_iter().flat_map(|length| {
        let long = |first: &[u8]| [first, &vec![b'x'; length - first.len()]].concat();
        [input(0, 4, &long(b"./")), input(0, 4, &long(b"x")), input(1, 4, &long(b"x"))]
    });
    ways.chain(paths).chain(lengths).collect()
}

fn input(kind: u8, written_as: u8, text: &[u8]) -> Vec<u8> {
    [&[kind, written_as], text].concat()
}

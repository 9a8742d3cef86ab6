//! The synchronous form, between processes wherever there are two sides.
#![allow(clippy::unwrap_used, reason = "a test says so by panicking")]

mod activation;
mod clients;
mod connecting;
mod leaks;
mod listening;
mod names;
mod namespaces;
mod peers_gone;
mod pid_namespace;
mod places;
mod python;
mod rig;
mod signal_storm;
mod signals;
mod streams;

/// The other process of the tests: this program again, with another part to play.
#[test]
#[ignore = "a part that the tests here start in a process of its own"]
fn role() {
    let Some((role, args)) = rig::my_role() else { return };
    let _watchdog = rig::Watchdog::new();
    let args: Vec<_> = args.iter().map(String::as_str).collect();
    match (role.as_str(), args.as_slice()) {
        ("client", [kind, name, id]) => clients::client(&rig::name(kind, name), id.parse().unwrap()),
        ("patient client", [kind, name]) => clients::patient_client(rig::name(kind, name)),
        ("server", [kind, name]) => peers_gone::server(rig::name(kind, name)),
        ("writer", [kind, name, ending]) => peers_gone::writer(rig::name(kind, name), ending),
        ("reader", [kind, name]) => peers_gone::reader(rig::name(kind, name)),
        ("modes", [path]) => places::modes(path),
        ("relative", [directory]) => places::relative(directory),
        ("bind", [path]) => places::bind(path),
        ("bare", [name]) => names::bare(name),
        ("out of descriptors", []) => listening::out_of_descriptors(),
        ("drop without descriptors", [path]) => listening::drop_without_descriptors(path),
        ("without proc", [path, long]) => places::without_proc([path, long]),
        ("adopt", []) => activation::adopt(),
        ("namespace", [name]) => namespaces::client(rig::name("abstract", name)),
        other => panic!("no such part: {other:?}"),
    }
}

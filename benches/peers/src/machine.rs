//! Where and with what was measured.

use std::{fs, time::SystemTime};

use serde::{Deserialize, Serialize};

/// The machine, and the versions of everything that takes part.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Machine {
    pub date: String,
    pub processor: String,
    pub cores: usize,
    pub kernel: String,
    pub compiler: String,
    /// Names and versions of the crates that this package asks for.
    pub crates: Vec<(String, String)>,
}

impl Machine {
    pub fn this() -> Self {
        let read = |path| fs::read_to_string(path).unwrap_or_default();
        let processors = read("/proc/cpuinfo");
        let field = |name| processors.lines().filter(move |line| line.starts_with(name));
        let processor = field("model name").next().and_then(|line| line.split_once(": "));
        Self {
            date: humantime::format_rfc3339_seconds(SystemTime::now()).to_string(),
            processor: processor.map_or("unknown", |(_, name)| name).to_owned(),
            cores: field("processor").count(),
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            compiler: env!("COMPILER").to_owned(),
            crates: crates(include_str!("../Cargo.lock")),
        }
    }
}

/// The packages that `peers` depends on, with the versions that the lock file has chosen.
fn crates(lock: &str) -> Vec<(String, String)> {
    let quoted = |line: &str| line.split('"').nth(1).unwrap_or_default().to_owned();
    let value = |package: &str, key: &str| package.lines().find(|line| line.starts_with(key)).map(quoted);
    let packages: Vec<_> = lock.split("[[package]]").collect();
    let find = |name: &str| packages.iter().find(|package| value(package, "name = ").as_deref() == Some(name));
    let peers = find("peers").expect("this package");
    let wanted = peers.lines().filter(|line| line.starts_with(" \"")).map(quoted);
    wanted
        .map(|wanted| {
            // `name`, or `name version` where there are several.
            let (name, exact) = wanted.split_once(' ').map_or((&*wanted, None), |(name, exact)| (name, Some(exact)));
            let version = || find(name).and_then(|package| value(package, "version = "));
            (name.to_owned(), exact.map(str::to_owned).or_else(version).unwrap_or_default())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn versions_are_those_of_the_lock_file() {
        let lock = "[[package]]\nname = \"a\"\nversion = \"1.2.3\"\n[[package]]\nname = \"peers\"\nversion = \"0.1.0\"\n\
                    dependencies = [\n \"a\",\n \"b 2.0.0\",\n]\n[[package]]\nname = \"b\"\nversion = \"1.0.0\"\n";
        let found = super::crates(lock);
        assert_eq!(found, [("a".into(), "1.2.3".into()), ("b".into(), "2.0.0".into())]);
    }
}

//! The control groups that this process is in, of both versions, from its own up to the root that it can see.

use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

/// The two kinds of hierarchy, whose files have different names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// One hierarchy for each controller.
    V1,
    /// One for all.
    V2,
}

/// A mounted hierarchy and this process's place in it.
#[derive(Debug, PartialEq, Eq)]
struct Place {
    version: Version,
    mount: PathBuf,
    below: PathBuf,
}

/// Calls `see` with the directory of each group that `controller` may be limited in.
pub fn each_group(controller: &str, mut see: impl FnMut(Version, &Path)) {
    let (Ok(mounts), Ok(groups)) =
        (fs::read("/proc/thread-self/mountinfo"), fs::read("/proc/thread-self/cgroup"))
    else {
        return;
    };
    for place in places(&mounts, &groups, controller) {
        each_level(&place, &mut see);
    }
}

fn each_level(place: &Place, see: &mut impl FnMut(Version, &Path)) {
    let mut level = place.mount.join(&place.below);
    loop {
        see(place.version, &level);
        if level == place.mount || !level.pop() {
            return;
        }
    }
}

/// Finds where `controller` may be limited: the lines of /proc/self/mountinfo are "ID PARENT DEV ROOT MOUNT
/// OPTIONS ... - TYPE SOURCE OPTIONS", those of /proc/self/cgroup "ID:CONTROLLERS:PATH".
fn places(mounts: &[u8], groups: &[u8], controller: &str) -> Vec<Place> {
    let has = |list: &[u8]| list.split(|&b| b == b',').any(|name| name == controller.as_bytes());
    let mut found = Vec::new();
    for line in mounts.split(|&b| b == b'\n') {
        let fields: Vec<&[u8]> = line.split(|&b| b == b' ').collect();
        let Some(dash) = fields.iter().position(|&field| field == b"-").filter(|&at| at >= 6) else {
            continue;
        };
        let (kind, options) = (fields.get(dash + 1), fields.get(dash + 3));
        let version = match kind {
            Some(&b"cgroup2") => Version::V2,
            Some(&b"cgroup") if options.is_some_and(|list| has(list)) => Version::V1,
            _ => continue,
        };
        let group = groups.split(|&b| b == b'\n').find_map(|line| {
            let mut parts = line.splitn(3, |&b| b == b':').skip(1);
            let (controllers, path) = (parts.next()?, parts.next()?);
            let fits = if version == Version::V2 { controllers.is_empty() } else { has(controllers) };
            fits.then(|| unescape(path))
        });
        let Some(group) = group else { continue };
        let mount = unescape(fields[4]);
        // In a container the mount may show only a part of the hierarchy. A path outside it can't be seen.
        let Ok(below) = group.strip_prefix(unescape(fields[3])).map(Path::to_owned) else { continue };
        if below.components().any(|part| part.as_os_str() == "..") {
            continue;
        }
        found.push(Place { version, mount, below });
    }
    found
}

/// The kernel writes blanks and line breaks in paths as three octal digits.
fn unescape(text: &[u8]) -> PathBuf {
    let mut path = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&first, tail)) = rest.split_first() {
        match octal(rest) {
            Some(byte) => {
                path.push(byte);
                rest = &rest[4..];
            }
            None => {
                path.push(first);
                rest = tail;
            }
        }
    }
    PathBuf::from(std::ffi::OsString::from_vec(path))
}

/// The byte that `\NNN` at the start of `text` stands for.
fn octal(text: &[u8]) -> Option<u8> {
    let digits = text.strip_prefix(b"\\")?.get(..3)?;
    digits.iter().try_fold(0u8, |byte, &digit| {
        let digit = (digit as char).to_digit(8)? as u8;
        byte.checked_mul(8)?.checked_add(digit)
    })
}

/// The first number in a group's file; `None` for "max", a missing file, or -1.
pub fn limit(group: &Path, file: &str) -> Option<u64> {
    fs::read_to_string(group.join(file)).ok()?.split_ascii_whitespace().next()?.parse().ok()
}

/// The number beside `key` in a group's file of keys and numbers.
fn keyed(group: &Path, file: &str, key: &str) -> Option<u64> {
    let text = fs::read_to_string(group.join(file)).ok()?;
    text.lines().find_map(|line| line.strip_prefix(key)?.trim_ascii().parse().ok())
}

/// Calls `see` with each group up the tree whose memory is limited: its directory, the limit, and how much of it is
/// left. Memory that the kernel takes back rather than reach the limit counts as left.
pub fn each_memory_limit(mut see: impl FnMut(&Path, u64, u64)) {
    each_group("memory", |version, group| {
        if let Some((limit, left)) = memory_left_in(version, group) {
            see(group, limit, left);
        }
    });
}

fn memory_left_in(version: Version, group: &Path) -> Option<(u64, u64)> {
    let (limits, usage, total) = match version {
        // Above memory.high processes are slowed down until they hardly move.
        Version::V2 => (&["memory.max", "memory.high"][..], "memory.current", ""),
        Version::V1 => (&["memory.limit_in_bytes"][..], "memory.usage_in_bytes", "total_"),
    };
    let limit = limits.iter().filter_map(|file| limit(group, file)).min()?;
    let used = self::limit(group, usage)?;
    let stat = |key: &str| keyed(group, "memory.stat", &format!("{total}{key} ")).unwrap_or(0);
    // What was used lately the kernel gives up too, but not all of it at once. Shared memory is not among it.
    let idle = stat("inactive_file") + (stat("active_file") + stat("slab_reclaimable")) / 2;
    Some((limit, limit.saturating_sub(used.saturating_sub(idle))))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &[u8] = b"\
20 1 0:19 / /proc rw - proc proc rw
30 1 0:26 / /sys/fs/cgroup/uni\\040fied rw,nosuid shared:4 - cgroup2 cgroup2 rw
31 1 0:27 /docker/x /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct
32 1 0:28 /other /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory
";

    #[test]
    fn places_of_both_versions() {
        let groups = b"5:cpu,cpuacct:/docker/x/in\n4:memory:/docker/x\n0::/a/b\n";
        let v2 = |below: &str| Place {
            version: Version::V2,
            mount: "/sys/fs/cgroup/uni fied".into(),
            below: below.into(),
        };
        let cpu =
            Place { version: Version::V1, mount: "/sys/fs/cgroup/cpu,cpuacct".into(), below: "in".into() };
        assert_eq!(places(MOUNTS, groups, "cpu"), [v2("a/b"), cpu]);
        // The group lies outside what is mounted.
        assert_eq!(places(MOUNTS, groups, "memory"), [v2("a/b")]);
        assert_eq!(places(MOUNTS, b"0::/../x\n", "cpu"), []);
        assert_eq!(places(b"", groups, "cpu"), []);
    }

    #[test]
    fn every_level_is_seen_up_to_the_mount() {
        let place = Place { version: Version::V2, mount: "/m".into(), below: "a/b".into() };
        let mut seen = Vec::new();
        each_level(&place, &mut |_, level| seen.push(level.to_owned()));
        assert_eq!(seen, ["/m/a/b", "/m/a", "/m"].map(PathBuf::from));
        let root = Place { version: Version::V2, mount: "/m".into(), below: "".into() };
        seen.clear();
        each_level(&root, &mut |_, level| seen.push(level.to_owned()));
        assert_eq!(seen, [PathBuf::from("/m/")]);
    }

    /// A directory that looks like a group.
    struct Fake(PathBuf);

    impl Fake {
        fn new(name: &str) -> Fake {
            let dir = std::env::temp_dir().join(format!("mp-cgroup-{name}-{}", std::process::id()));
            fs::create_dir_all(&dir).unwrap();
            Fake(dir)
        }

        fn write(&self, name: &str, text: &str) {
            fs::write(self.0.join(name), text).unwrap();
        }
    }

    impl Drop for Fake {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn memory_left_counts_what_can_be_taken_back() {
        let group = Fake::new("v2");
        let left = || memory_left_in(Version::V2, &group.0);
        group.write("memory.max", "max\n");
        group.write("memory.current", "700\n");
        assert_eq!(left(), None);
        group.write("memory.max", "1000\n");
        assert_eq!(left(), Some((1000, 300)));
        group.write("memory.stat", "anon 600\ninactive_file 100\nactive_file 20\n");
        assert_eq!(left(), Some((1000, 410)));
        group.write("memory.high", "800\n");
        assert_eq!(left(), Some((800, 210)));
        group.write("memory.high", "10\n");
        assert_eq!(left(), Some((10, 0)));
    }

    #[test]
    fn groups_of_the_first_version_have_other_names() {
        let group = Fake::new("v1");
        group.write("memory.limit_in_bytes", "1000\n");
        group.write("memory.usage_in_bytes", "900\n");
        group.write("memory.stat", "inactive_file 1\ntotal_inactive_file 200\ntotal_active_file 100\n");
        assert_eq!(memory_left_in(Version::V1, &group.0), Some((1000, 350)));
        // No limit is a number beyond all memory.
        group.write("memory.limit_in_bytes", "9223372036854771712\n");
        assert!(memory_left_in(Version::V1, &group.0).unwrap().1 > 1 << 60);
    }

    #[test]
    fn a_group_further_up_may_leave_the_least() {
        let root = Fake::new("tree");
        let place = Place { version: Version::V2, mount: root.0.clone(), below: "a/b".into() };
        fs::create_dir_all(root.0.join("a/b")).unwrap();
        for (name, max, current) in [("a", "500\n", "400\n"), ("a/b", "1000\n", "400\n")] {
            root.write(&format!("{name}/memory.max"), max);
            root.write(&format!("{name}/memory.current"), current);
        }
        let mut seen = Vec::new();
        each_level(&place, &mut |version, group| seen.push(memory_left_in(version, group)));
        assert_eq!(seen, [Some((1000, 600)), Some((500, 100)), None]);
    }
}

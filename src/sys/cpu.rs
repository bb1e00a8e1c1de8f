//! How many processors this process may use.

use super::cgroup::{self, Version};
use std::path::Path;

/// The usable processors: the smaller of those that the scheduler may give and the whole ones that the control
/// groups' quotas allow, rounded up; at least 1.
pub fn count() -> u32 {
    let mut count = affinity().unwrap_or_else(online);
    cgroup::each_group("cpu", |version, group| {
        if let Some(quota) = quota(version, group) {
            count = count.min(quota);
        }
    });
    count.max(1)
}

fn affinity() -> Option<u32> {
    // Room for 65,536 processors: the kernel refuses a mask that is shorter than its own.
    let mut mask = [0u64; 1024];
    let size = std::mem::size_of_val(&mask);
    // SAFETY: the mask is writable for `size` bytes; the call answers how many it wrote.
    let written = unsafe { libc::syscall(libc::SYS_sched_getaffinity, 0, size, mask.as_mut_ptr()) };
    (written > 0).then(|| mask.iter().map(|word| word.count_ones()).sum())
}

/// The processors that the machine has in use.
pub(super) fn online() -> u32 {
    // SAFETY: sysconf only answers a number.
    unsafe { libc::sysconf(libc::_SC_NPROCESSORS_ONLN) }.max(1) as u32
}

/// How many whole processors one group's quota amounts to.
fn quota(version: Version, group: &Path) -> Option<u32> {
    let (quota, period) = match version {
        Version::V2 => {
            let text = std::fs::read_to_string(group.join("cpu.max")).ok()?;
            let mut numbers = text.split_ascii_whitespace().map(str::parse::<u64>);
            (numbers.next()?.ok()?, numbers.next()?.ok()?)
        }
        Version::V1 => {
            (cgroup::limit(group, "cpu.cfs_quota_us")?, cgroup::limit(group, "cpu.cfs_period_us")?)
        }
    };
    (period > 0).then(|| u32::try_from(quota.div_ceil(period)).unwrap_or(u32::MAX).max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_at_least_one_and_no_more_than_allowed() {
        assert!(count() >= 1);
        assert!(count() <= affinity().unwrap());
        assert!(affinity().unwrap() <= online());
    }

    #[test]
    fn quotas_are_rounded_up() {
        let dir = std::env::temp_dir().join(format!("mp-cpu-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let write = |name: &str, text: &str| std::fs::write(dir.join(name), text).unwrap();
        assert_eq!(quota(Version::V2, &dir), None);
        for (text, expected) in [
            ("max 100000\n", None),
            ("150000 100000\n", Some(2)),
            ("100000 100000\n", Some(1)),
            ("1000 100000\n", Some(1)),
            ("1 0\n", None),
            ("", None),
        ] {
            write("cpu.max", text);
            assert_eq!(quota(Version::V2, &dir), expected, "{text}");
        }
        write("cpu.cfs_period_us", "100000\n");
        write("cpu.cfs_quota_us", "-1\n");
        assert_eq!(quota(Version::V1, &dir), None);
        write("cpu.cfs_quota_us", "250000\n");
        assert_eq!(quota(Version::V1, &dir), Some(3));
        std::fs::remove_dir_all(&dir).unwrap();
    }
}

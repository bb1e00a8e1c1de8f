//! The conditions under which a process begins: what of environment, working directory, descriptors, CPUs, resource
//! limits and nice value is to differ from its parent's.
//!
//! Whatever can't be is an error of the start, by each method alike: a spawned child tells before it execs, and before
//! a fork a child that borrows this process's memory tries it.

use super::bootstrap;
use super::wire::{Reader, Writer};
use crate::arena;
use crate::error::{Error, Result, Status};
use crate::sys::descriptors::{self, Place, CLOSED};
use crate::sys::setting::{Limit, Setting, CPUS, RESOURCES};
use crate::sys::{environment, life, stdio};
use std::ffi::{CStr, CString};
use std::os::fd::{AsRawFd, IntoRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStringExt;

/// As many descriptors as can be given to a child: with libmp's own they go into one message of a socket.
pub const MOST_DESCRIPTORS: usize = 250;

/// The conditions. The default is to begin as the parent is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Conditions {
    pub(super) env: Vec<CString>,
    pub(super) cwd: Option<CString>,
    pub(super) nice: i32,
    pub(super) cpus: Vec<u32>,
    pub(super) limits: Vec<Limit>,
    pub(super) places: Vec<Place>,
}

impl Conditions {
    /// Changes of the environment: `NAME=value` sets a variable, `NAME` removes it; of two the last counts.
    pub fn set_env(&mut self, entries: &[&CStr]) -> Result<()> {
        for (at, entry) in entries.iter().enumerate() {
            let name = environment::name_of(entry.to_bytes());
            if name.is_empty() {
                let entry = entry.to_string_lossy();
                return Err(Error::invalid(format!("options.env[{at}] is {entry:?}, which has no name")));
            }
            if name == bootstrap::VARIABLE.as_bytes() {
                return Err(Error::invalid(format!(
                    "options.env[{at}] is {}, by which libmp itself tells its children what they are",
                    bootstrap::VARIABLE
                )));
            }
        }
        self.env = entries.iter().map(|&entry| entry.to_owned()).collect();
        Ok(())
    }

    /// The working directory.
    pub fn set_cwd(&mut self, cwd: &CStr) -> Result<()> {
        if cwd.is_empty() {
            return Err(Error::invalid("options.cwd is empty: NULL means this process's"));
        }
        self.cwd = Some(cwd.to_owned());
        Ok(())
    }

    /// What is added to the nice value.
    pub fn set_nice(&mut self, nice: i32) {
        self.nice = nice;
    }

    /// The CPUs; none means those of the parent.
    pub fn set_cpus(&mut self, cpus: &[i32]) -> Result<()> {
        let checked = |(at, &cpu): (usize, &i32)| match u32::try_from(cpu) {
            Ok(cpu) if (cpu as usize) < CPUS => Ok(cpu),
            _ => Err(Error::invalid(format!("options.cpus[{at}] is {cpu}, which is the number of no CPU"))),
        };
        self.cpus = cpus.iter().enumerate().map(checked).collect::<Result<_>>()?;
        Ok(())
    }

    /// Resource limits: number, soft and hard limit.
    pub fn set_limits(&mut self, limits: &[(i32, u64, u64)]) -> Result<()> {
        let mut checked: Vec<Limit> = Vec::with_capacity(limits.len());
        for (at, &(resource, soft, hard)) in limits.iter().enumerate() {
            let wrong = |why: String| Err(Error::invalid(format!("options.rlimits[{at}]{why}")));
            let number = u32::try_from(resource).unwrap_or(u32::MAX);
            if number >= RESOURCES {
                return wrong(format!(".resource is {resource}, which is the number of no limit"));
            }
            if soft > hard {
                return wrong(format!(".soft is {soft}, which is more than its hard, {hard}"));
            }
            if let Some(other) = checked.iter().position(|limit| limit.resource == number) {
                return wrong(format!(".resource is {resource}, as that of options.rlimits[{other}] is"));
            }
            checked.push(Limit { resource: number, soft, hard });
        }
        self.limits = checked;
        Ok(())
    }

    /// The descriptors: which one, [`NULL`] or [`CLOSED`], and its number in the child.
    pub fn set_descriptors(&mut self, map: &[(RawFd, RawFd)]) -> Result<()> {
        if map.len() > MOST_DESCRIPTORS {
            let text = format!("options.nfds is {}, but at most {MOST_DESCRIPTORS} can be passed", map.len());
            return Err(Error::new(Status::TooLarge, text));
        }
        let mut places: Vec<Place> = Vec::with_capacity(map.len());
        for (at, &(have, want)) in map.iter().enumerate() {
            let wrong = |why: String| Err(Error::invalid(format!("options.fds[{at}]{why}")));
            if have < CLOSED {
                return wrong(format!(".fd is {have}, which is no descriptor"));
            }
            if want < 0 {
                return wrong(format!(".as is {want}, which is no descriptor"));
            }
            if let Some(other) = places.iter().position(|place| place.want == want) {
                return wrong(format!(".as is {want}, as that of options.fds[{other}] is"));
            }
            places.push(Place { have, want });
        }
        self.places = places;
        Ok(())
    }

    /// The first field of the options that is set: a thread of this process can't have what is its own.
    pub fn first_set(&self) -> Option<&'static str> {
        let fields = [
            ("env", !self.env.is_empty()),
            ("cwd", self.cwd.is_some()),
            ("nice", self.nice != 0),
            ("cpus", !self.cpus.is_empty()),
            ("rlimits", !self.limits.is_empty()),
            ("fds", !self.places.is_empty()),
        ];
        fields.into_iter().find(|(_, set)| *set).map(|(name, _)| name)
    }

    /// What a child sets, with these descriptors.
    pub(super) fn setting<'a>(&'a self, places: &'a [Place]) -> Setting<'a> {
        Setting { cwd: self.cwd.as_deref(), places, cpus: &self.cpus, limits: &self.limits, nice: self.nice }
    }

    /// In the parent: fails where a child that begins under these conditions would.
    pub fn try_out(&self) -> Result<()> {
        let setting = self.setting(&self.places);
        // The environment can't fail.
        if setting.is_empty() {
            return Ok(());
        }
        setting.try_out().map_err(|failure| self.explain(failure))
    }

    /// In the parent: the same for a child by fork, which [`Conditions::apply`]s them.
    pub fn try_out_fork(&self, die_with_parent: bool) -> Result<()> {
        if self.places.is_empty() {
            return self.try_out();
        }
        self.try_out_beside(if die_with_parent { Some(life::read_end()?) } else { None })
    }

    /// Beside libmp's own descriptors: those of arenas, and by which the child will watch its parent.
    fn try_out_beside(&self, watched: Option<RawFd>) -> Result<()> {
        let arenas = arena::each_arena().filter_map(|arena| arena.descriptor()).map(|fd| fd.as_raw_fd());
        let own: Vec<RawFd> = arenas.chain(watched).collect();
        self.setting(&self.places).try_out_beside(&own).map_err(|failure| self.explain(failure))
    }

    /// In a forked child with one thread: lets them come true. What libmp itself has open stays, under other numbers
    /// where its own are wanted.
    pub fn apply(&self) -> Result<()> {
        if self.first_set().is_none() {
            return Ok(());
        }
        if !self.env.is_empty() {
            environment::change(&self.env);
        }
        if !self.places.is_empty() {
            arena::each_arena().try_for_each(|arena| arena.make_way(&self.places))?;
            life::make_way(&self.places)?;
        }
        self.setting(&self.places).apply().map_err(|failure| self.explain(failure))?;
        // The streams of what has another file now begin anew.
        let changed = self.places.iter().filter(|place| place.have != place.want);
        changed.for_each(|place| stdio::begin_anew(place.want));
        Ok(())
    }

    /// In the parent of a child that is made by another process: the descriptors that must reach it, in their order.
    pub fn to_pass(&self) -> Vec<RawFd> {
        self.places.iter().map(|place| place.have).filter(|&have| have >= 0).collect()
    }

    /// What [`Conditions::to_pass`] answered has arrived under these numbers.
    fn receive(&mut self, numbers: impl Iterator<Item = RawFd>) -> Result<()> {
        let mut numbers = numbers;
        for place in self.places.iter_mut().filter(|place| place.have >= 0) {
            place.have = numbers.next().ok_or_else(|| Error::internal("a descriptor did not arrive"))?;
        }
        Ok(())
    }

    /// In the process that is to make such a child, which may have other limits than the parent: fails where the child
    /// would not get its descriptors.
    pub fn try_out_received(&self, received: &[OwnedFd]) -> Result<()> {
        if self.places.is_empty() {
            return Ok(());
        }
        let mut arrived = Conditions { places: self.places.clone(), ..Conditions::default() };
        arrived.receive(received.iter().map(AsRawFd::as_raw_fd))?;
        arrived.try_out_beside(life::watched())
    }

    /// As [`Conditions::apply`], in such a child: `received` is what [`Conditions::to_pass`] answered, as it arrived.
    pub fn apply_received(mut self, received: Vec<OwnedFd>) -> Result<()> {
        self.receive(received.into_iter().map(IntoRawFd::into_raw_fd))?;
        self.apply()?;
        // What was copied to its place goes, unless another has come into its own.
        let spent = |fd: &RawFd| !descriptors::is_wanted(&self.places, *fd);
        self.to_pass().into_iter().filter(spent).for_each(descriptors::close);
        Ok(())
    }

    /// [`Conditions::write`] alone.
    pub(super) fn encode(&self) -> Result<Vec<u8>> {
        let mut out = Writer::default();
        self.write(&mut out)?;
        Ok(out.into_bytes())
    }

    /// As it travels. A path is made absolute, for who reads it may be elsewhere.
    pub fn write(&self, out: &mut Writer) -> Result<()> {
        out.number(self.env.len() as u64);
        self.env.iter().for_each(|entry| out.bytes(entry.to_bytes()));
        out.bytes(&self.absolute_cwd()?);
        out.number(self.nice as u64);
        out.number(self.cpus.len() as u64);
        self.cpus.iter().for_each(|&cpu| out.number(u64::from(cpu)));
        out.number(self.limits.len() as u64);
        for limit in &self.limits {
            [u64::from(limit.resource), limit.soft, limit.hard].into_iter().for_each(|n| out.number(n));
        }
        out.number(self.places.len() as u64);
        for place in &self.places {
            out.number(place.have as u64);
            out.number(place.want as u64);
        }
        Ok(())
    }

    /// The path from the root; nothing for none.
    fn absolute_cwd(&self) -> Result<Vec<u8>> {
        let Some(cwd) = &self.cwd else { return Ok(Vec::new()) };
        if cwd.to_bytes().starts_with(b"/") {
            return Ok(cwd.to_bytes().to_vec());
        }
        let here = std::env::current_dir().map_err(|_| Error::system("asking for the working directory"))?;
        Ok([&here.into_os_string().into_vec(), &b"/"[..], cwd.to_bytes()].concat())
    }

    /// What [`Conditions::write`] wrote.
    pub fn read(from: &mut Reader<'_>) -> Result<Conditions> {
        let text = |bytes: &[u8]| {
            CString::new(bytes).map_err(|_| Error::internal("a text in a process's conditions has a NUL"))
        };
        let count = from.number()?;
        let env = (0..count).map(|_| text(from.bytes()?)).collect::<Result<_>>()?;
        let cwd = Some(from.bytes()?).filter(|cwd| !cwd.is_empty()).map(text).transpose()?;
        let nice = from.number()? as i32;
        let count = from.number()?;
        let cpus = (0..count).map(|_| Ok(from.number()? as u32)).collect::<Result<_>>()?;
        let count = from.number()?;
        let limits = (0..count)
            .map(|_| {
                let resource = from.number()? as u32;
                Ok(Limit { resource, soft: from.number()?, hard: from.number()? })
            })
            .collect::<Result<_>>()?;
        let count = from.number()?;
        let places = (0..count)
            .map(|_| Ok(Place { have: from.number()? as RawFd, want: from.number()? as RawFd }))
            .collect::<Result<_>>()?;
        Ok(Conditions { env, cwd, nice, cpus, limits, places })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::descriptors::NULL;
    use crate::sys::os;
    use crate::sys::testing::alone;

    fn all() -> Conditions {
        let mut all = Conditions::default();
        all.set_env(&[c"A=b=c", c"\xff=\xfe", c"GONE"]).unwrap();
        all.set_cwd(c"/tmp").unwrap();
        all.set_nice(-3);
        all.set_cpus(&[0, 5, 0]).unwrap();
        all.set_limits(&[(7, 64, u64::MAX), (4, 0, 0)]).unwrap();
        all.set_descriptors(&[(5, 0), (NULL, 1), (CLOSED, 7), (0, 5), (5, 6)]).unwrap();
        all
    }

    fn refused(result: Result<()>, status: Status, part: &str) {
        let error = result.unwrap_err();
        assert_eq!(error.status(), status, "{error}");
        assert!(error.message().contains(part), "{error}");
    }

    #[test]
    fn they_are_read_as_they_were_written() {
        for conditions in [Conditions::default(), all()] {
            let mut out = Writer::default();
            conditions.write(&mut out).unwrap();
            let bytes = out.into_bytes();
            assert_eq!(Conditions::read(&mut Reader::new(&bytes)).unwrap(), conditions);
            for cut in 0..bytes.len() {
                assert!(Conditions::read(&mut Reader::new(&bytes[..cut])).is_err(), "{cut}");
            }
        }
        assert_eq!(all().to_pass(), [5, 0, 5]);
    }

    #[test]
    fn a_path_travels_from_the_root() {
        let mut conditions = Conditions::default();
        conditions.set_cwd(c"some/where").unwrap();
        let mut out = Writer::default();
        conditions.write(&mut out).unwrap();
        let read = Conditions::read(&mut Reader::new(&out.into_bytes())).unwrap();
        let expected = std::env::current_dir().unwrap().join("some/where");
        assert_eq!(read.cwd.unwrap().to_str().unwrap(), expected.to_str().unwrap());
    }

    #[test]
    fn what_can_never_be_is_refused_at_once() {
        let invalid = |result, part| refused(result, Status::Invalid, part);
        let mut some = Conditions::default();
        invalid(some.set_env(&[c"A=1", c"=x"]), "options.env[1] is \"=x\", which has no name");
        invalid(some.set_env(&[c""]), "options.env[0]");
        invalid(some.set_env(&[c"MP_CHILD=1"]), "options.env[0] is MP_CHILD");
        invalid(some.set_env(&[c"A", c"MP_CHILD"]), "options.env[1] is MP_CHILD");
        some.set_env(&[c"MP_CHILDREN=1"]).unwrap();
        invalid(some.set_cwd(c""), "options.cwd is empty");
        invalid(some.set_cpus(&[0, -1]), "options.cpus[1] is -1");
        invalid(some.set_cpus(&[8192]), "options.cpus[0] is 8192");
        invalid(some.set_limits(&[(16, 0, 0)]), "options.rlimits[0].resource is 16");
        invalid(some.set_limits(&[(-1, 0, 0)]), "options.rlimits[0].resource is -1");
        invalid(some.set_limits(&[(0, 0, 0), (1, 2, 1)]), "options.rlimits[1].soft is 2");
        invalid(some.set_limits(&[(1, 0, 0), (1, 0, 0)]), "options.rlimits[0]");
        invalid(some.set_descriptors(&[(0, 3), (1, 3)]), "options.fds[1].as is 3, as that of options.fds[0]");
        invalid(some.set_descriptors(&[(-3, 3)]), "options.fds[0].fd is -3");
        invalid(some.set_descriptors(&[(3, -1)]), "options.fds[0].as is -1");
        let many: Vec<_> = (0..251).map(|want| (0, want)).collect();
        refused(some.set_descriptors(&many), Status::TooLarge, "options.nfds is 251");
        some.set_descriptors(&many[1..]).unwrap();
    }

    #[test]
    fn the_first_field_that_is_set_is_named() {
        assert_eq!(Conditions::default().first_set(), None);
        assert_eq!(all().first_set(), Some("env"));
        let mut some = Conditions::default();
        some.set_descriptors(&[(0, 3)]).unwrap();
        assert_eq!(some.first_set(), Some("fds"));
        some.set_nice(1);
        assert_eq!(some.first_set(), Some("nice"));
    }

    #[test]
    fn what_would_fail_is_told_before() {
        let mut some = Conditions::default();
        some.set_env(&[c"A=1"]).unwrap();
        some.try_out().unwrap();
        some.set_cwd(c"/no/such").unwrap();
        refused(some.try_out(), Status::NotFound, "options.cwd is \"/no/such\", which can't be entered");
        let mut some = Conditions::default();
        some.set_descriptors(&[(0, 9), (1 << 20, 3)]).unwrap();
        refused(some.try_out(), Status::Invalid, "options.fds[1].fd is 1048576, which is not open");
        some.set_descriptors(&[(0, i32::MAX)]).unwrap();
        refused(some.try_out(), Status::Invalid, "options.fds[0].as is 2147483647, but RLIMIT_NOFILE");
        let mut some = Conditions::default();
        some.set_cpus(&[8191]).unwrap();
        refused(some.try_out(), Status::Invalid, "options.cpus[0] is 8191");
    }

    #[test]
    fn what_is_received_comes_to_its_place() {
        let ended = alone("process::conditions::tests::what_is_received_comes_to_its_place", || {
            let [first, second] = [c"/proc/self/exe", c"/dev/zero"].map(|path| os::open(path, 0).unwrap());
            let [one, two] = [&first, &second].map(|fd| os::file_of(fd.as_raw_fd()));
            let received = [&first, &second, &first].map(|fd| fd.try_clone().unwrap());
            let [a, b, c] = [0, 1, 2].map(|at: usize| received[at].as_raw_fd());
            let mut conditions = Conditions::default();
            conditions.set_descriptors(&[(7, b), (CLOSED, 103), (8, a), (7, 110), (NULL, 111)]).unwrap();
            assert_eq!(conditions.to_pass(), [7, 8, 7]);
            conditions.apply_received(received.into()).unwrap();
            assert_eq!([a, b, c, 103, 110].map(os::file_of), [two, one, None, None, one]);
            assert!(os::file_of(111).is_some());
        });
        assert!(ended.success());
    }
}

//! Events and semaphores against models of them: what a program of one process sees, by several handles.

use super::{Event, Semaphore};
use crate::error::{Result, Status};
use crate::sys::clock::Deadline;
use crate::sys::os;
use proptest::prelude::*;

/// A short wait, so that the slow paths are taken too.
const SHORT: i64 = 1000;

fn status<T>(result: Result<T>) -> Status {
    result.err().map_or(Status::Ok, |error| error.status())
}

#[derive(Clone, Copy, Debug)]
enum EventStep {
    Set,
    Clear,
    Try,
    Wait,
    Handle,
}

/// The bridge follows: it must come to tell what is true.
fn tells(fd: i32, readable: bool) {
    while (os::poll(fd, libc::POLLIN, Deadline::Now) == libc::POLLIN) != readable {
        std::thread::sleep(std::time::Duration::from_micros(20));
    }
}

fn run_event(steps: &[EventStep]) {
    let mut handles = vec![Event::new().unwrap()];
    let fd = handles[0].descriptor().unwrap();
    let mut set = false;
    for (number, step) in steps.iter().enumerate() {
        let event = &handles[number % handles.len()];
        let expected = if set { Status::Ok } else { Status::Timeout };
        match step {
            EventStep::Set => {
                event.set().unwrap();
                set = true;
            }
            EventStep::Clear => {
                event.clear().unwrap();
                set = false;
            }
            EventStep::Try => assert_eq!(status(event.wait(Deadline::Now)), expected),
            EventStep::Wait => assert_eq!(status(event.wait(Deadline::after(SHORT))), expected),
            EventStep::Handle => handles.push(Event::from_token(&event.token()).unwrap()),
        }
        assert!(handles.iter().all(|event| event.is_set().unwrap() == set));
        if number % 8 == 0 {
            tells(fd, set);
        }
    }
    tells(fd, set);
}

#[derive(Clone, Copy, Debug)]
enum SemaphoreStep {
    Try,
    Acquire,
    Release(u32),
    NewHandle,
    FreeHandle,
}

fn semaphore_step() -> impl Strategy<Value = SemaphoreStep> {
    prop_oneof![
        4 => Just(SemaphoreStep::Try),
        2 => Just(SemaphoreStep::Acquire),
        4 => (0u32..4).prop_map(SemaphoreStep::Release),
        1 => Just(SemaphoreStep::NewHandle),
        1 => Just(SemaphoreStep::FreeHandle),
    ]
}

fn run_semaphore(robust: bool, value: u32, room: u32, steps: &[SemaphoreStep]) {
    let max = value + room;
    let new = if robust { Semaphore::robust } else { Semaphore::new };
    let mut handles = vec![new(value, max).unwrap()];
    let token = handles[0].token();
    let bound = if max == 0 { super::permits::MAX } else { max };
    // What there is, and what this process has.
    let (mut there, mut have) = (value, 0);
    for (number, step) in steps.iter().enumerate() {
        let semaphore = &handles[number % handles.len()];
        match *step {
            SemaphoreStep::Try | SemaphoreStep::Acquire => {
                let wait = matches!(step, SemaphoreStep::Acquire);
                let deadline = if wait { Deadline::after(SHORT) } else { Deadline::Now };
                let acquired = status(semaphore.acquire(deadline));
                assert_eq!(acquired, if there > 0 { Status::Ok } else { Status::Timeout });
                if acquired == Status::Ok {
                    (there, have) = (there - 1, have + 1);
                }
            }
            SemaphoreStep::Release(n) => {
                let expected = match robust {
                    true if n > have => Status::NotOwner,
                    false if there + n > bound => Status::Overflow,
                    _ => Status::Ok,
                };
                assert_eq!(status(semaphore.release(n)), expected);
                if expected == Status::Ok {
                    (there, have) = (there + n, have.saturating_sub(n));
                }
            }
            SemaphoreStep::NewHandle => handles.push(Semaphore::from_token(&token).unwrap()),
            SemaphoreStep::FreeHandle if handles.len() > 1 || (robust && have > 0) => {
                handles.swap_remove(number % handles.len());
                if handles.is_empty() {
                    // Its permits keep it.
                    handles.push(Semaphore::from_token(&token).unwrap());
                }
            }
            SemaphoreStep::FreeHandle => {}
        }
        assert!(handles.iter().all(|semaphore| semaphore.value().unwrap() == there));
        assert!(handles.iter().all(|semaphore| semaphore.is_robust() == robust));
    }
    if robust {
        handles[0].release(have).unwrap();
        assert_eq!(handles[0].value().unwrap(), value);
    }
    let fd = handles[0].descriptor().unwrap();
    tells(fd, handles[0].value().unwrap() > 0);
    drop(handles);
    assert_eq!(status(Semaphore::from_token(&token)), Status::Stale);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..Default::default() })]

    #[test]
    fn an_event_is_like_its_model(
        steps in prop::collection::vec(
            prop::sample::select(vec![
                EventStep::Set,
                EventStep::Clear,
                EventStep::Try,
                EventStep::Wait,
                EventStep::Handle,
            ]),
            1..100,
        ),
    ) {
        run_event(&steps);
    }

    #[test]
    fn a_semaphore_is_like_its_model(
        robust: bool,
        value in 0u32..5,
        room in 0u32..4,
        steps in prop::collection::vec(semaphore_step(), 1..150),
    ) {
        run_semaphore(robust, value, room, &steps);
    }
}

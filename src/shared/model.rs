//! Values, arrays and unnamed shared memory against a model of them, a vector of bytes each: made, written, read
//! through other handles, and dropped, so that new ones get used memory.

use super::{Array, ArrayOptions, LockKind, SharedMemory, Value};
use crate::error::Status;
use proptest::prelude::*;
use std::sync::atomic::Ordering::SeqCst;

#[derive(Clone, Debug)]
enum Step {
    Value(usize, bool, u8),
    Array(usize, usize, bool, u8),
    Memory(usize),
    Write(usize, usize, u8),
    Add(usize, u64),
    Reopen(usize),
    Drop(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let size = prop_oneof![Just(1usize), Just(4), Just(8), 40usize..70, 1usize..5000, 60_000usize..80_000];
    let element = prop::sample::select(vec![1usize, 2, 3, 4, 8, 12, 100]);
    prop_oneof![
        3 => (size.clone(), any::<bool>(), any::<u8>()).prop_map(|(s, init, byte)| Step::Value(s, init, byte)),
        3 => (element, 0usize..900, any::<bool>(), any::<u8>())
            .prop_map(|(e, n, init, byte)| Step::Array(e, n, init, byte)),
        1 => size.prop_map(Step::Memory),
        4 => (any::<usize>(), any::<usize>(), any::<u8>()).prop_map(|(i, k, byte)| Step::Write(i, k, byte)),
        2 => (any::<usize>(), any::<u64>()).prop_map(|(i, n)| Step::Add(i, n)),
        2 => any::<usize>().prop_map(Step::Reopen),
        3 => any::<usize>().prop_map(Step::Drop),
    ]
}

enum Shared {
    Value(Value),
    Array(Array),
    Memory(SharedMemory),
}

impl Shared {
    fn data(&self) -> *mut u8 {
        match self {
            Shared::Value(value) => value.data(),
            Shared::Array(array) => array.data(),
            Shared::Memory(memory) => memory.data(),
        }
    }

    fn bytes(&self) -> Vec<u8> {
        let (data, len) = match self {
            Shared::Value(value) => (value.data(), value.size()),
            Shared::Array(array) => (array.data(), array.len() * array.element_size()),
            Shared::Memory(memory) => (memory.data(), memory.size()),
        };
        // SAFETY: so many bytes are there, and this thread alone uses them.
        unsafe { std::slice::from_raw_parts(data, len) }.to_vec()
    }

    fn reopened(&self) -> Shared {
        match self {
            Shared::Value(value) => Shared::Value(Value::from_token(&value.token()).unwrap()),
            Shared::Array(array) => Shared::Array(Array::from_token(&array.token()).unwrap()),
            Shared::Memory(memory) => Shared::Memory(SharedMemory::from_token(&memory.token()).unwrap()),
        }
    }

    fn write(&self, model: &mut [u8], at: usize, byte: u8) {
        match self {
            Shared::Value(value) => {
                let whole = vec![byte; value.size()];
                value.write(&whole).unwrap();
                model.copy_from_slice(&whole);
            }
            Shared::Array(array) => {
                let (element, index) = (array.element_size(), at % (array.len() + 1));
                let written = array.write(index, &vec![byte; element]);
                if index == array.len() {
                    assert_eq!(written.unwrap_err().status(), Status::Invalid);
                    return;
                }
                written.unwrap();
                model[index * element..][..element].fill(byte);
                let mut back = vec![0; element];
                array.read(index, &mut back).unwrap();
                assert_eq!(back, vec![byte; element]);
            }
            Shared::Memory(memory) => {
                let at = at % memory.size();
                // SAFETY: the byte is there.
                unsafe { memory.data().add(at).write(byte) };
                model[at] = byte;
            }
        }
    }

    fn add(&self, model: &mut [u8], n: u64) {
        let Shared::Value(value) = self else { return };
        match model.len() {
            4 => {
                let was = u32::from_ne_bytes(model.try_into().unwrap());
                assert_eq!(value.word32().unwrap().fetch_add(n as u32, SeqCst), was);
                model.copy_from_slice(&was.wrapping_add(n as u32).to_ne_bytes());
                assert_eq!(value.word64().unwrap_err().status(), Status::Invalid);
            }
            8 => {
                let was = u64::from_ne_bytes(model.try_into().unwrap());
                assert_eq!(value.word64().unwrap().fetch_add(n, SeqCst), was);
                model.copy_from_slice(&was.wrapping_add(n).to_ne_bytes());
                assert_eq!(value.word32().unwrap_err().status(), Status::Invalid);
            }
            _ => assert!(value.word32().is_err() && value.word64().is_err()),
        }
    }
}

fn run(steps: &[Step]) {
    let mut all: Vec<(Shared, Vec<u8>)> = Vec::new();
    for step in steps {
        let count = all.len();
        let one_of = |i: &usize| (count > 0).then(|| i % count);
        match step {
            Step::Value(size, init, byte) => {
                let bytes = vec![if *init { *byte } else { 0 }; *size];
                let value = Value::new(*size, init.then_some(&bytes), LockKind::None).unwrap();
                assert_eq!(value.data() as usize % if *size > 48 { 64 } else { 16 }, 0);
                all.push((Shared::Value(value), bytes));
            }
            Step::Array(element, len, init, byte) => {
                let bytes = vec![if *init { *byte } else { 0 }; element * len];
                let options = ArrayOptions::default();
                let array = Array::new(*element, *len, init.then_some(&bytes), &options).unwrap();
                assert_eq!((array.len(), array.element_size()), (*len, *element));
                assert_eq!(array.data() as usize % 64, 0);
                all.push((Shared::Array(array), bytes));
            }
            Step::Memory(size) => {
                let memory = SharedMemory::create(None, *size).unwrap();
                assert_eq!((memory.size(), memory.name().to_bytes()), (*size, &b""[..]));
                all.push((Shared::Memory(memory), vec![0; *size]));
            }
            Step::Write(i, at, byte) => {
                if let Some(i) = one_of(i) {
                    let (shared, model) = &mut all[i];
                    shared.write(model, *at, *byte);
                }
            }
            Step::Add(i, n) => {
                if let Some(i) = one_of(i) {
                    let (shared, model) = &mut all[i];
                    shared.add(model, *n);
                }
            }
            Step::Reopen(i) => {
                if let Some(i) = one_of(i) {
                    let again = all[i].0.reopened();
                    assert_eq!(again.data(), all[i].0.data());
                    all[i].0 = again;
                }
            }
            Step::Drop(i) => {
                if let Some(i) = one_of(i) {
                    all.swap_remove(i);
                }
            }
        }
        for (shared, model) in &all {
            assert!(shared.bytes() == *model, "after {step:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 120, failure_persistence: None, ..Default::default() })]

    #[test]
    fn shared_state_is_like_its_model(steps in prop::collection::vec(step(), 1..60)) {
        run(&steps);
    }
}

#[test]
fn sizes_have_their_limits() {
    let refused = |result: crate::error::Result<Array>| result.unwrap_err().status();
    let array = |element, count| Array::new(element, count, None, &ArrayOptions::default());
    assert_eq!(refused(array(0, 1)), Status::Invalid);
    assert_eq!(refused(array(0, 0)), Status::Invalid);
    assert_eq!(refused(array(1 << 33, 1 << 33)), Status::TooLarge);
    assert_eq!(refused(array(1, usize::MAX)), Status::TooLarge);
    assert_eq!(refused(array(1, isize::MAX as usize)), Status::NoMemory);
    assert!(array(1 << 40, 0).unwrap().is_empty());
    let value = |size| Value::new(size, None, LockKind::Plain).unwrap_err().status();
    assert_eq!(value(0), Status::Invalid);
    assert_eq!(value(1 << 50), Status::NoMemory);
    assert_eq!(value(usize::MAX), Status::NoMemory);
    for size in [0, 1 << 50, usize::MAX] {
        let error = SharedMemory::create(None, size).unwrap_err();
        assert_eq!(error.status(), if size == 0 { Status::Invalid } else { Status::NoMemory }, "{error}");
    }
}

#[test]
fn a_large_array_may_lie_on_huge_pages() {
    let options = ArrayOptions { huge_pages: true, ..Default::default() };
    let large = Array::new(8, 500_000, None, &options).unwrap();
    assert_eq!(large.data() as usize % (2 << 20), 0);
    large.write(499_999, &[7; 8]).unwrap();
    let again = Array::from_token(&large.token()).unwrap();
    assert_eq!(again.data(), large.data());
    let small = Array::new(8, 100, None, &options).unwrap();
    assert_eq!(small.data() as usize % 64, 0);
}

//! The models, and their mutants.

use super::house::{spawn, House, Seat, Twist};
use mp::channel::words::UNBOUNDED;
use mp::error::Status;

fn check(preemptions: usize, f: impl Fn() + Sync + Send + 'static) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(preemptions);
    model.check(f);
}

fn message(producer: u32, number: u32) -> [u8; 8] {
    (u64::from(producer) << 32 | u64::from(number)).to_le_bytes()
}

/// The next one of a producer.
fn assert_next(got: &[u8], producer: u32, number: u32) {
    assert_eq!(got, message(producer, number), "message {number} of {producer}");
}

/// A few messages of one producer through a queue of one place and one unit: both wait.
fn bound_of_one(twist: Twist, put: fn(&Seat<'_>, &[u8]), get: fn(&Seat<'_>) -> Vec<u8>) {
    check(3, move || {
        let house = House::with_one_unit(twist);
        let producer = spawn(&house, 2, move |seat| (0..3).for_each(|i| put(seat, &message(2, i))));
        let seat = house.seat(1);
        (0..3).for_each(|i| assert_next(&get(&seat), 2, i));
        producer.join().unwrap();
    });
}

fn bound_of_one_long(twist: Twist) {
    bound_of_one(twist, |seat, m| seat.put_long(m).unwrap(), |seat| seat.get_long().unwrap());
}

#[test]
fn one_place() {
    bound_of_one(Twist::None, |seat, m| seat.put(m).unwrap(), |seat| seat.get().unwrap());
}

#[test]
fn one_place_the_long_way() {
    bound_of_one_long(Twist::None);
}

#[test]
#[ignore = "a mutant, caught by: Causality violation"]
fn mutant_tail_stored_relaxed() {
    bound_of_one_long(Twist::RelaxedTail);
}

#[test]
#[ignore = "a mutant, caught by: Causality violation"]
fn mutant_head_stored_relaxed() {
    bound_of_one_long(Twist::RelaxedHead);
}

#[test]
#[ignore = "a mutant, caught by: Causality violation"]
fn mutant_head_seen_ahead() {
    bound_of_one_long(Twist::SeenAhead);
}

#[test]
#[ignore = "a mutant, caught by: what is no message"]
fn mutant_tail_seen_ahead() {
    bound_of_one_long(Twist::MoreSeen);
}

#[test]
#[ignore = "a mutant, caught by: deadlock"]
fn mutant_announced_before_the_release() {
    bound_of_one_long(Twist::AnnouncesEarly);
}

#[test]
#[ignore = "a mutant, caught by: deadlock"]
fn mutant_no_second_look() {
    bound_of_one_long(Twist::NoSecondLook);
}

/// Two producers, of two messages and of one, and a ring that becomes too small.
fn two_producers(twist: Twist) {
    check(2, move || {
        let house = House::new(UNBOUNDED, twist);
        let producers = [2, 3].map(|me| {
            spawn(&house, me, move |seat| (me..4).for_each(|i| seat.put(&message(me, i - me)).unwrap()))
        });
        let (seat, mut next) = (house.seat(1), [0; 2]);
        for _ in 0..3 {
            let got = seat.get().unwrap();
            let producer = u32::from(got[4]);
            let number = &mut next[producer as usize - 2];
            assert_next(&got, producer, *number);
            *number += 1;
        }
        producers.into_iter().for_each(|producer| producer.join().unwrap());
    });
}

#[test]
fn each_producer_keeps_its_order() {
    two_producers(Twist::None);
}

#[test]
#[ignore = "a mutant, caught by: Causality violation"]
fn mutant_turn_given_back_before_the_commit() {
    two_producers(Twist::ReleasesEarly);
}

#[test]
#[ignore = "a mutant, caught by: Causality violation"]
fn mutant_turn_given_back_that_is_not_had() {
    two_producers(Twist::GivesBackAnyway);
}

/// Two consumers of one message each, put one by one or at once.
fn two_consumers(twist: Twist, put: fn(&Seat<'_>)) {
    check(2, move || {
        let house = House::new(UNBOUNDED, twist);
        // There is a ring, so that a run can be put; and the places wrap.
        let seat = house.seat(1);
        seat.put(&message(1, 9)).unwrap();
        assert_next(&seat.get().unwrap(), 1, 9);
        let consumers = [2, 3].map(|me| spawn(&house, me, |seat| seat.get().unwrap()));
        put(&seat);
        let mut got = consumers.map(|consumer| consumer.join().unwrap());
        got.sort();
        (0..2).for_each(|i| assert_next(&got[i as usize], 1, i));
    });
}

fn put_two(seat: &Seat<'_>) {
    (0..2).for_each(|i| seat.put(&message(1, i)).unwrap());
}

fn put_two_at_once(seat: &Seat<'_>) {
    assert_eq!(seat.put_run(&[message(1, 0), message(1, 1)]), 2);
}

#[test]
fn each_consumer_has_its_own() {
    two_consumers(Twist::None, put_two);
}

#[test]
#[ignore = "a mutant, caught by: deadlock"]
fn mutant_message_not_passed_on() {
    two_consumers(Twist::ForgetsSleep, put_two);
}

#[test]
fn many_messages_wake_many() {
    two_consumers(Twist::None, put_two_at_once);
}

/// One wake-up too few is mended by who passes on: that is late, but no loss.
#[test]
fn many_messages_announced_as_one_are_passed_on() {
    two_consumers(Twist::AnnouncesOne, put_two_at_once);
}

#[test]
#[ignore = "a mutant, caught by: deadlock"]
fn mutant_many_messages_announced_as_one() {
    two_consumers(Twist::AnnouncesOneOnly, put_two_at_once);
}

/// Two putters wait for the room that one get of many makes.
fn two_putters(twist: Twist) {
    check(2, move || {
        let house = House::new(2, twist);
        let seat = house.seat(1);
        put_two(&seat);
        let putters = [2, 3].map(|me| spawn(&house, me, move |seat| seat.put(&message(me, 0)).unwrap()));
        let run = seat.get_run(2).unwrap();
        (0..2).for_each(|i| assert_next(&run[i as usize], 1, i));
        putters.into_iter().for_each(|putter| putter.join().unwrap());
        let mut got = [seat.get().unwrap(), seat.get().unwrap()];
        got.sort();
        (0..2).for_each(|i| assert_next(&got[i as usize], i + 2, 0));
    });
}

#[test]
fn much_room_wakes_many() {
    two_putters(Twist::None);
}

#[test]
fn much_room_announced_as_one_is_passed_on() {
    two_putters(Twist::AnnouncesOne);
}

#[test]
#[ignore = "a mutant, caught by: deadlock"]
fn mutant_much_room_announced_as_one() {
    two_putters(Twist::AnnouncesOneOnly);
}

/// A put and a close race: what was put is got, and then the getter is told.
fn put_and_close(twist: Twist) {
    check(3, move || {
        let house = House::new(UNBOUNDED, twist);
        let putter = spawn(&house, 2, |seat| seat.put(&message(2, 0)).is_ok());
        let closer = spawn(&house, 3, |seat| seat.close());
        let seat = house.seat(1);
        let first = seat.get_long();
        let put = putter.join().unwrap();
        closer.join().unwrap();
        match first {
            Ok(got) => {
                assert_next(&got, 2, 0);
                assert_eq!(seat.get_long().unwrap_err().status(), Status::Closed);
            }
            Err(error) => {
                assert_eq!(error.status(), Status::Closed);
                assert!(!put, "a message was lost");
            }
        }
    });
}

#[test]
fn what_was_put_before_a_close_is_got() {
    put_and_close(Twist::None);
}

#[test]
#[ignore = "a mutant, caught by: a message was lost"]
fn mutant_closed_read_after_the_tail() {
    put_and_close(Twist::ClosedLate);
}

/// A close reaches a getter and a putter that wait, each at a queue of its own state.
#[test]
fn a_close_reaches_all_who_wait() {
    check(2, || {
        let (empty, full) = (House::new(1, Twist::None), House::new(1, Twist::None));
        full.seat(1).put(&message(1, 0)).unwrap();
        let getter = spawn(&empty, 2, |seat| seat.get().unwrap_err().status());
        let putter = spawn(&full, 3, |seat| seat.put(&message(3, 0)).unwrap_err().status());
        empty.seat(1).close();
        full.seat(1).close();
        assert_eq!((getter.join().unwrap(), putter.join().unwrap()), (Status::Closed, Status::Closed));
    });
}

/// The ring grows, with messages in it and of more units than one, while a getter reads.
fn growth(twist: Twist) {
    check(3, move || {
        let house = House::new(UNBOUNDED, twist);
        let seat = house.seat(1);
        put_two(&seat);
        let getter = spawn(&house, 2, |seat| {
            (0..2).for_each(|i| assert_next(&seat.get().unwrap(), 1, i));
            assert_eq!(seat.get().unwrap(), [7; 20]);
        });
        seat.put(&[7; 20]).unwrap();
        getter.join().unwrap();
    });
}

#[test]
fn a_ring_grows_while_one_reads() {
    growth(Twist::None);
}

#[test]
#[ignore = "a mutant, caught by: Causality violation"]
fn mutant_grown_without_the_heads_turn() {
    growth(Twist::GrowsAlone);
}

#[test]
#[ignore = "a mutant, caught by: what is no message"]
fn mutant_grown_without_a_copy() {
    growth(Twist::GrowsEmpty);
}

/// A ring that has become too large makes room for a smaller one when it is empty, while a getter comes by.
#[test]
fn a_ring_shrinks_while_one_reads() {
    check(3, || {
        let house = House::new(UNBOUNDED, Twist::None);
        let seat = house.seat(1);
        (0..3).for_each(|i| seat.put(&message(1, i)).unwrap());
        (0..2).for_each(|i| assert_next(&seat.get().unwrap(), 1, i));
        let getter = spawn(&house, 2, |seat| (2..4).for_each(|i| assert_next(&seat.get().unwrap(), 1, i)));
        seat.put(&message(1, 3)).unwrap();
        getter.join().unwrap();
    });
}

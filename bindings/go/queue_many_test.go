package mp_test

import (
	"bytes"
	"context"
	"errors"
	"runtime"
	"strconv"
	"testing"
	"time"

	"libmp.dev/mp"
)

func asStrings(messages [][]byte) (out []string) {
	for _, message := range messages {
		out = append(out, string(message))
	}
	return out
}

func TestQueueMany(t *testing.T) {
	ctx := watchdog(t)
	q := newQueue(t, mp.QueueOptions{})
	if n := must[int](t)(q.PutMany(ctx, nil)); n != 0 {
		t.Fatalf("put %d", n)
	}
	// Short ones, none, and one that is not copied on its way to C.
	large := bytes.Repeat([]byte("l"), 100_000)
	if n := must[int](t)(q.PutMany(ctx, [][]byte{[]byte("one"), nil, large, []byte("four")})); n != 4 {
		t.Fatalf("put %d", n)
	}
	same(t, asStrings(must[[][]byte](t)(q.GetMany(ctx, 3))), "one", "", string(large))
	same(t, asStrings(must[[][]byte](t)(q.TryGetMany(0, 1000))), "four")
	_, err := q.TryGetMany(time.Millisecond, 5)
	want(t, err, mp.ErrEmpty)
	_, err = q.GetMany(ctx, 0)
	want(t, err, mp.ErrInvalid)
	_, err = q.GetMany(ctx, -1)
	want(t, err, mp.ErrInvalid)
	// It waits for the first one, until its context ends.
	until, cancel := context.WithCancel(ctx)
	ended := make(chan error)
	go func() {
		_, err := q.GetMany(until, 5)
		ended <- err
	}()
	time.Sleep(5 * time.Millisecond)
	cancel()
	want(t, <-ended, context.Canceled)
	ok(t, q.Shutdown())
	n, err := q.PutMany(ctx, [][]byte{nil})
	want(t, err, mp.ErrClosed)
	if n != 0 {
		t.Fatalf("put %d", n)
	}
	_, err = q.GetMany(ctx, 5)
	want(t, err, mp.ErrClosed)
}

// Of those that do not all find room the first ones are there, and it is told how many.
func TestQueuePutManyWaits(t *testing.T) {
	const count = 200
	ctx := watchdog(t)
	q := newQueue(t, mp.QueueOptions{MaxSize: 3})
	var messages [][]byte
	for i := range count {
		messages = append(messages, bytes.Repeat([]byte{byte(i)}, i*200))
	}
	n, err := q.TryPutMany(0, messages)
	want(t, err, mp.ErrFull)
	if n != 3 {
		t.Fatalf("put %d", n)
	}
	n, err = q.TryPutMany(time.Millisecond, messages)
	want(t, err, mp.ErrFull)
	if n != 0 {
		t.Fatalf("put %d", n)
	}
	put := make(chan error)
	go func() {
		n, err := q.PutMany(ctx, messages[3:])
		if err == nil && n != count-3 {
			err = errors.New("not all were put: " + strconv.Itoa(n))
		}
		put <- err
	}()
	var got [][]byte
	for len(got) < count {
		got = append(got, must[[][]byte](t)(q.GetMany(ctx, 7))...)
	}
	ok(t, <-put)
	same(t, asStrings(got), asStrings(messages)...)
}

func TestQueuePutBuffer(t *testing.T) {
	ctx := watchdog(t)
	from, to := newQueue(t, mp.QueueOptions{}), newQueue(t, mp.QueueOptions{MaxSize: 1})
	for _, size := range []int{0, 10, 100_000} {
		message := bytes.Repeat([]byte("b"), size)
		ok(t, from.Put(ctx, message))
		ok(t, from.Put(ctx, []byte("second")))
		b, second := must[*mp.Buffer](t)(from.GetBuffer(ctx)), must[*mp.Buffer](t)(from.GetBuffer(ctx))
		ok(t, to.PutBuffer(ctx, b))
		if b.Bytes() != nil {
			t.Fatal("a buffer after it was put")
		}
		want(t, to.PutBuffer(ctx, b), mp.ErrClosed)
		ok(t, b.Close())
		// On failure it stays.
		want(t, to.TryPutBuffer(time.Millisecond, second), mp.ErrFull)
		if string(second.Bytes()) != "second" {
			t.Fatalf("%q", second.Bytes())
		}
		if got := must[[]byte](t)(to.Get(ctx)); !bytes.Equal(got, message) {
			t.Fatalf("another message of %d bytes", len(got))
		}
		ok(t, to.TryPutBuffer(0, second))
		must[[]byte](t)(to.Get(ctx))
	}
	want(t, to.PutBuffer(ctx, nil), mp.ErrInvalid)
}

// Who waits with a buffer has it for himself; closed meanwhile, it goes when the wait has failed.
func TestQueuePutBufferOnce(t *testing.T) {
	ctx := watchdog(t)
	from, to := newQueue(t, mp.QueueOptions{}), newQueue(t, mp.QueueOptions{MaxSize: 1})
	ok(t, from.Put(ctx, []byte("b")))
	ok(t, to.Put(ctx, []byte("in the way")))
	b := must[*mp.Buffer](t)(from.GetBuffer(ctx))
	until, cancel := context.WithCancel(ctx)
	ended := make(chan error)
	go func() {
		err := error(mp.ErrState)
		for errors.Is(err, mp.ErrState) { // while the one below has it
			err = to.PutBuffer(until, b)
		}
		ended <- err
	}()
	// Until the other has it: there is no room, so that this one changes nothing.
	for {
		err := to.TryPutBuffer(0, b)
		if errors.Is(err, mp.ErrState) {
			break
		}
		want(t, err, mp.ErrFull)
	}
	ok(t, b.Close())
	cancel()
	want(t, <-ended, context.Canceled)
	want(t, to.TryPutBuffer(0, b), mp.ErrClosed)
}

func TestReservation(t *testing.T) {
	ctx := watchdog(t)
	q := newQueue(t, mp.QueueOptions{})
	for _, size := range []int{0, 10, 100_000} {
		r := must[*mp.Reservation](t)(q.Reserve(ctx, size))
		if r.Bytes() == nil || len(r.Bytes()) != size {
			t.Fatalf("%d bytes", len(r.Bytes()))
		}
		copy(r.Bytes(), bytes.Repeat([]byte("r"), size))
		if n := must[int](t)(q.Len()); n != 0 {
			t.Fatalf("%d messages", n)
		}
		ok(t, r.Commit())
		if r.Bytes() != nil {
			t.Fatal("bytes after Commit")
		}
		want(t, r.Commit(), mp.ErrClosed)
		ok(t, r.Abandon())
		if got := must[[]byte](t)(q.Get(ctx)); !bytes.Equal(got, bytes.Repeat([]byte("r"), size)) {
			t.Fatalf("another message of %d bytes", len(got))
		}
	}
	// Less than was reserved; more than that puts nothing.
	r := must[*mp.Reservation](t)(q.Reserve(ctx, 5000))
	ok(t, r.CommitLen(copy(r.Bytes(), "short")))
	same(t, drain(t, q), "short")
	for _, n := range []int{11, -1} {
		r = must[*mp.Reservation](t)(q.Reserve(ctx, 10))
		want(t, r.CommitLen(n), mp.ErrInvalid)
		want(t, r.Commit(), mp.ErrClosed)
	}
	_, err := q.Reserve(ctx, -1)
	want(t, err, mp.ErrInvalid)
	// A queue that is shut down meanwhile takes nothing more.
	late := must[*mp.Reservation](t)(q.Reserve(ctx, 1))
	ok(t, q.Shutdown())
	want(t, late.Commit(), mp.ErrClosed)
	_, err = q.Reserve(ctx, 1)
	want(t, err, mp.ErrClosed)
}

// A reservation takes up room until it has ended in one way or the other.
func TestReservationHasRoom(t *testing.T) {
	ctx := watchdog(t)
	q := newQueue(t, mp.QueueOptions{MaxSize: 1})
	r := must[*mp.Reservation](t)(q.Reserve(ctx, 8))
	want(t, q.TryPut(0, nil), mp.ErrFull)
	_, err := q.TryReserve(time.Millisecond, 1)
	want(t, err, mp.ErrFull)
	waited := make(chan error)
	go func() {
		r, err := q.Reserve(ctx, 1)
		if err == nil {
			err = r.Abandon()
		}
		waited <- err
	}()
	time.Sleep(5 * time.Millisecond)
	ok(t, r.Abandon())
	ok(t, r.Abandon())
	ok(t, <-waited)
	// One that a dead process had made is none.
	token := must[mp.Token](t)(q.Token())
	exits(t, start(t, "reserveAndDie", token[:]), -9)
	ok(t, q.Put(ctx, []byte("room")))
	same(t, drain(t, q), "room")
	// It lives longer than the handle that it came from.
	left := must[*mp.Reservation](t)(q.Reserve(ctx, 4))
	other := must[*mp.Queue](t)(mp.QueueFromToken(token))
	defer other.Close()
	ok(t, q.Close())
	copy(left.Bytes(), "left")
	ok(t, left.Commit())
	same(t, drain(t, other), "left")
}

// A reservation that nobody has any more gives its room back.
func TestReservationForgotten(t *testing.T) {
	ctx := watchdog(t)
	q := newQueue(t, mp.QueueOptions{MaxSize: 1})
	must[*mp.Reservation](t)(q.Reserve(ctx, 8))
	for {
		err := q.TryPut(10*time.Millisecond, []byte("room"))
		if err == nil {
			break
		}
		want(t, err, mp.ErrFull)
		ok(t, ctx.Err())
		runtime.GC()
	}
}

func reserveAndDie(c *mp.Call) error {
	q, err := queueOf(c.Arg(0))
	if err != nil {
		return err
	}
	r, err := q.Reserve(context.Background(), 100_000)
	if err != nil {
		return err
	}
	copy(r.Bytes(), "never seen")
	return die()
}

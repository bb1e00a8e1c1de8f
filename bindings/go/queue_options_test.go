package mp_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"libmp.dev/mp"
)

// drain is what the queue gives until it is empty.
func drain(t *testing.T, q *mp.Queue) (all []string) {
	t.Helper()
	for {
		message, err := q.TryGet(0)
		if errors.Is(err, mp.ErrEmpty) || errors.Is(err, mp.ErrClosed) {
			return all
		}
		ok(t, err)
		all = append(all, string(message))
	}
}

func same(t *testing.T, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Fatalf("got %q, want %q", got, want)
	}
}

func newQueue(t *testing.T, o mp.QueueOptions) *mp.Queue {
	t.Helper()
	q := must[*mp.Queue](t)(mp.NewQueue(o))
	t.Cleanup(func() { q.Close() })
	return q
}

func TestQueueOrders(t *testing.T) {
	ctx := watchdog(t)
	fifo, lifo := newQueue(t, mp.QueueOptions{}), newQueue(t, mp.QueueOptions{Kind: mp.QueueLIFO})
	for _, text := range []string{"a", "b", "c"} {
		ok(t, fifo.Put(ctx, []byte(text)))
		ok(t, lifo.Put(ctx, []byte(text)))
	}
	same(t, drain(t, fifo), "a", "b", "c")
	same(t, drain(t, lifo), "c", "b", "a")
	ranked := newQueue(t, mp.QueueOptions{Kind: mp.QueuePriority, MaxSize: 4})
	ok(t, ranked.PutPriority(ctx, 3, []byte("c")))
	ok(t, ranked.PutPriority(ctx, -5, []byte("a")))
	ok(t, ranked.Put(ctx, []byte("b")))
	ok(t, ranked.TryPutPriority(0, 3, []byte("d")))
	want(t, ranked.TryPutPriority(time.Millisecond, 1, nil), mp.ErrFull)
	same(t, drain(t, ranked), "a", "b", "c", "d")
	want(t, fifo.PutPriority(ctx, 1, nil), mp.ErrUnsupported)
	want(t, lifo.TryPutPriority(0, 1, nil), mp.ErrUnsupported)
}

func TestQueueBounds(t *testing.T) {
	ctx := watchdog(t)
	q := newQueue(t, mp.QueueOptions{MaxBytes: 10})
	want(t, q.Put(ctx, make([]byte, 11)), mp.ErrTooLarge)
	ok(t, q.Put(ctx, make([]byte, 7)))
	want(t, q.TryPut(0, make([]byte, 4)), mp.ErrFull)
	ok(t, q.TryPut(0, make([]byte, 3)))
	// Whatever its context, a put there does not wait; here it drops what is oldest.
	fail := newQueue(t, mp.QueueOptions{MaxSize: 1, Overflow: mp.OverflowFail})
	ok(t, fail.Put(ctx, []byte("a")))
	want(t, fail.Put(ctx, []byte("b")), mp.ErrFull)
	drop := newQueue(t, mp.QueueOptions{MaxSize: 2, Overflow: mp.OverflowDropOldest})
	for _, text := range []string{"a", "b", "c", "d"} {
		ok(t, drop.Put(ctx, []byte(text)))
	}
	same(t, drain(t, drop), "c", "d")
	_, err := mp.NewQueue(mp.QueueOptions{Kind: 99})
	want(t, err, mp.ErrInvalid)
	_, err = mp.NewQueue(mp.QueueOptions{Overflow: -1})
	want(t, err, mp.ErrInvalid)
}

func TestQueueJoin(t *testing.T) {
	ctx := watchdog(t)
	q := newQueue(t, mp.QueueOptions{})
	ok(t, q.Join(ctx))
	want(t, q.TaskDone(), mp.ErrOverflow)
	ok(t, q.Put(ctx, nil))
	ok(t, q.Put(ctx, nil))
	want(t, q.TryJoin(time.Millisecond), mp.ErrTimeout)
	until, cancel := context.WithCancel(ctx)
	ended := make(chan error)
	go func() { ended <- q.Join(until) }()
	time.Sleep(5 * time.Millisecond)
	cancel()
	want(t, <-ended, context.Canceled)
	go func() { ended <- q.Join(ctx) }()
	for range 2 {
		must[[]byte](t)(q.Get(ctx))
		ok(t, q.TaskDone())
	}
	ok(t, <-ended)
	// What a process has taken that died is done.
	ok(t, q.Put(ctx, []byte("taken")))
	token := must[mp.Token](t)(q.Token())
	p := start(t, "takeAndDie", token[:])
	ok(t, q.Join(ctx))
	exits(t, p, -9)
}

func takeAndDie(c *mp.Call) error {
	q, err := queueOf(c.Arg(0))
	if err != nil {
		return err
	}
	if _, err := q.Get(context.Background()); err != nil {
		return err
	}
	return die()
}

func TestDelivery(t *testing.T) {
	ctx := watchdog(t)
	q := newQueue(t, mp.QueueOptions{MaxSize: 2, Redeliver: true})
	ok(t, q.Put(ctx, []byte("a")))
	ok(t, q.Put(ctx, []byte("b")))
	a := must[*mp.Delivery](t)(q.GetDelivery(ctx))
	b := must[*mp.Delivery](t)(q.TryGetDelivery(0))
	if string(a.Data()) != "a" || string(b.Data()) != "b" {
		t.Fatalf("%q, %q", a.Data(), b.Data())
	}
	_, err := q.TryGetDelivery(time.Millisecond)
	want(t, err, mp.ErrEmpty)
	want(t, q.TryJoin(0), mp.ErrTimeout)
	ok(t, a.Ack())
	want(t, a.Ack(), mp.ErrClosed)
	ok(t, a.Close())
	want(t, q.TryJoin(0), mp.ErrTimeout)
	ok(t, b.Ack())
	if a.Data() != nil || b.Data() != nil {
		t.Fatal("data after Ack")
	}
	ok(t, q.Join(ctx))
	// Dropped, or acknowledged at a closed handle, it is not done.
	ok(t, q.Put(ctx, []byte("c")))
	c := must[*mp.Delivery](t)(q.GetDelivery(ctx))
	ok(t, c.Close())
	ok(t, c.Close())
	want(t, c.Ack(), mp.ErrClosed)
	want(t, q.TryJoin(0), mp.ErrTimeout)
	ok(t, q.Put(ctx, []byte("d")))
	d := must[*mp.Delivery](t)(q.GetDelivery(ctx))
	ok(t, q.Close())
	want(t, d.Ack(), mp.ErrClosed)
	if string(d.Data()) != "d" {
		t.Fatalf("%q", d.Data())
	}
	want(t, new(mp.Delivery).Ack(), mp.ErrInvalid)
}

// What could never be acknowledged is not handed out, by whatever way the handle was made.
func TestDeliveryOnly(t *testing.T) {
	ctx := watchdog(t)
	made := newQueue(t, mp.QueueOptions{Redeliver: true})
	ok(t, made.Put(ctx, []byte("x")))
	found := must[*mp.Queue](t)(mp.QueueFromToken(must[mp.Token](t)(made.Token())))
	defer found.Close()
	for _, q := range []*mp.Queue{made, found} {
		_, err := q.Get(ctx)
		want(t, err, mp.ErrUnsupported)
		_, err = q.TryGet(0)
		want(t, err, mp.ErrUnsupported)
		_, err = q.GetBuffer(ctx)
		want(t, err, mp.ErrUnsupported)
		_, err = q.GetMany(ctx, 1)
		want(t, err, mp.ErrUnsupported)
		_, err = q.GetInto(ctx, nil)
		want(t, err, mp.ErrUnsupported)
	}
	if n := must[int](t)(made.Len()); n != 1 {
		t.Fatalf("%d messages", n)
	}
	plain := newQueue(t, mp.QueueOptions{})
	_, err := plain.GetDelivery(ctx)
	want(t, err, mp.ErrUnsupported)
}

// doubleAndDie answers each number with its double, and dies with one in its hands.
func doubleAndDie(c *mp.Call) error {
	ctx := context.Background()
	in, err := queueOf(c.Arg(0))
	if err != nil {
		return err
	}
	out, err := queueOf(c.Arg(1))
	if err != nil {
		return err
	}
	for i := 0; ; i++ {
		d, err := in.GetDelivery(ctx)
		if errors.Is(err, mp.ErrClosed) {
			return nil
		}
		if err != nil {
			return err
		}
		if i == 6 {
			return die()
		}
		n, err := strconv.Atoi(string(d.Data()))
		if err != nil {
			return err
		}
		if err := errors.Join(out.Put(ctx, strconv.AppendInt(nil, int64(2*n), 10)), d.Ack()); err != nil {
			return err
		}
	}
}

func TestRedelivery(t *testing.T) {
	const count = 20
	ctx := watchdog(t)
	in, out := newQueue(t, mp.QueueOptions{Redeliver: true}), newQueue(t, mp.QueueOptions{})
	for i := range count {
		ok(t, in.Put(ctx, strconv.AppendInt(nil, int64(i), 10)))
	}
	ok(t, in.Shutdown())
	inToken, outToken := must[mp.Token](t)(in.Token()), must[mp.Token](t)(out.Token())
	for range 3 {
		exits(t, start(t, "doubleAndDie", inToken[:], outToken[:]), -9)
	}
	exits(t, start(t, "doubleAndDie", inToken[:], outToken[:]), 0)
	ok(t, in.Join(ctx))
	for i := range count {
		if got := string(must[[]byte](t)(out.Get(ctx))); got != strconv.Itoa(2*i) {
			t.Fatalf("message %d: %s", i, got)
		}
	}
	_, err := in.GetDelivery(ctx)
	want(t, err, mp.ErrClosed)
}

// In an arena the options are the queue's, whoever opens it.
func TestArenaQueueOptions(t *testing.T) {
	ctx := watchdog(t)
	name := fmt.Sprintf("test-queue-options-%d", os.Getpid())
	arena := must[*mp.Arena](t)(mp.OpenArena(name, mp.ArenaOptions{}))
	defer mp.UnlinkArena(name)
	defer arena.Close()
	o := mp.QueueOptions{Kind: mp.QueuePriority, MaxSize: 3, Redeliver: true}
	q := must[*mp.Queue](t)(arena.Queue("q", &o))
	defer q.Close()
	_, err := arena.Queue("q", &mp.QueueOptions{MaxSize: 3})
	want(t, err, mp.ErrExists)
	found := must[*mp.Queue](t)(arena.Queue("q", nil))
	defer found.Close()
	ok(t, found.PutPriority(ctx, 2, []byte("b")))
	ok(t, found.PutPriority(ctx, 1, []byte("a")))
	a := must[*mp.Delivery](t)(found.GetDelivery(ctx))
	if string(a.Data()) != "a" {
		t.Fatalf("%q", a.Data())
	}
	ok(t, a.Ack())
}

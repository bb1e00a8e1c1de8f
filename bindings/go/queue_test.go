package mp_test

import (
	"bytes"
	"context"
	"errors"
	"strconv"
	"testing"
	"time"

	"libmp.dev/mp"
)

// lengths answers each message with its length, until the queue is shut down.
func lengths(c *mp.Call) error {
	ctx := context.Background()
	in, err := queueOf(c.Arg(0))
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := queueOf(c.Arg(1))
	if err != nil {
		return err
	}
	defer out.Close()
	for {
		message, err := in.Get(ctx)
		if errors.Is(err, mp.ErrClosed) {
			return out.Shutdown()
		}
		if err != nil {
			return err
		}
		if err := out.Put(ctx, strconv.AppendInt(nil, int64(len(message)), 10)); err != nil {
			return err
		}
	}
}

func TestQueue(t *testing.T) {
	ctx := watchdog(t)
	q := must[*mp.Queue](t)(mp.NewQueue(mp.QueueOptions{MaxSize: 2}))
	defer q.Close()
	_, err := q.TryGet(time.Millisecond)
	want(t, err, mp.ErrEmpty)
	large := bytes.Repeat([]byte("x"), 5_000_000)
	ok(t, q.Put(ctx, large))
	ok(t, q.Put(ctx, nil))
	want(t, q.TryPut(0, []byte("more")), mp.ErrFull)
	if n := must[int](t)(q.Len()); n != 2 {
		t.Fatalf("%d messages", n)
	}
	if got := must[[]byte](t)(q.Get(ctx)); !bytes.Equal(got, large) {
		t.Fatalf("another message of %d bytes", len(got))
	}
	if got := must[[]byte](t)(q.TryGet(0)); got == nil || len(got) != 0 {
		t.Fatalf("not an empty message: %v", got)
	}
	ok(t, q.Put(ctx, []byte("hello")))
	room := make([]byte, 5)
	n, err := q.GetInto(ctx, room[:3])
	want(t, err, mp.ErrTooLarge)
	if n != 5 {
		t.Fatalf("needs %d", n)
	}
	if n := must[int](t)(q.GetInto(ctx, room)); string(room[:n]) != "hello" {
		t.Fatalf("got %q", room[:n])
	}
}

func TestQueueBuffer(t *testing.T) {
	ctx := watchdog(t)
	q := must[*mp.Queue](t)(mp.NewQueue(mp.QueueOptions{}))
	defer q.Close()
	ok(t, q.Put(ctx, []byte("shared")))
	b := must[*mp.Buffer](t)(q.GetBuffer(ctx))
	if string(b.Bytes()) != "shared" {
		t.Fatalf("got %q", b.Bytes())
	}
	b.Bytes()[0] = 'S'
	if string(b.Bytes()) != "Shared" {
		t.Fatal("not writable")
	}
	ok(t, b.Close())
	ok(t, b.Close())
	if b.Bytes() != nil {
		t.Fatal("bytes after Close")
	}
}

func TestQueueShutdown(t *testing.T) {
	ctx := watchdog(t)
	q := must[*mp.Queue](t)(mp.NewQueue(mp.QueueOptions{}))
	defer q.Close()
	ended := make(chan error)
	go func() {
		_, err := q.Get(ctx)
		ended <- err
	}()
	time.Sleep(20 * time.Millisecond)
	ok(t, q.Shutdown())
	ok(t, q.Shutdown())
	want(t, <-ended, mp.ErrClosed)
	want(t, q.Put(ctx, nil), mp.ErrClosed)
}

func TestQueueBetweenProcesses(t *testing.T) {
	ctx := watchdog(t)
	in := must[*mp.Queue](t)(mp.NewQueue(mp.QueueOptions{MaxSize: 4}))
	defer in.Close()
	out := must[*mp.Queue](t)(mp.NewQueue(mp.QueueOptions{}))
	defer out.Close()
	inToken, outToken := must[mp.Token](t)(in.Token()), must[mp.Token](t)(out.Token())
	p := must[*mp.Process](t)(mp.NewProcess(mp.ProcessOptions{}, "lengths", inToken[:], outToken[:]))
	defer p.Close()
	ok(t, p.Start())
	for i := range 300 {
		ok(t, in.Put(ctx, make([]byte, i*37)))
	}
	ok(t, in.Shutdown())
	for i := range 300 {
		if got := string(must[[]byte](t)(out.Get(ctx))); got != strconv.Itoa(i*37) {
			t.Fatalf("message %d: %s", i, got)
		}
	}
	_, err := out.Get(ctx)
	want(t, err, mp.ErrClosed)
	ok(t, p.Join(ctx))
}

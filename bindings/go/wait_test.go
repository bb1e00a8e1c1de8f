package mp_test

import (
	"context"
	"os"
	"slices"
	"testing"
	"time"

	"libmp.dev/mp"
)

// exclaim answers each message until the queue is shut down.
func exclaim(c *mp.Call) error {
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
		if _, err := mp.Wait(context.Background(), in); err != nil {
			return err
		}
		message, err := in.TryGet(0)
		if err != nil {
			return nil
		}
		if err := out.Put(context.Background(), append(message, '!')); err != nil {
			return err
		}
	}
}

// ready waits, and wants exactly these.
func ready(t *testing.T, items []mp.Waitable, wanted ...mp.Waitable) {
	t.Helper()
	if got := must[[]mp.Waitable](t)(mp.Wait(watchdog(t), items...)); !slices.Equal(got, wanted) {
		t.Fatalf("%d ready: %v, not %v", len(got), got, wanted)
	}
}

func TestWait(t *testing.T) {
	ctx := watchdog(t)
	q, e := newQueue(t, mp.QueueOptions{}), newEvent(t)
	s := must[*mp.Semaphore](t)(mp.NewSemaphore(0, mp.SemaphoreOptions{}))
	defer s.Close()
	r, w, err := os.Pipe()
	ok(t, err)
	defer r.Close()
	defer w.Close()
	fd := mp.FD(r.Fd())
	items := []mp.Waitable{q, e, s, fd}
	for _, some := range [][]mp.Waitable{items[:3], items} {
		short, cancel := context.WithTimeout(ctx, 10*time.Millisecond)
		_, err = mp.Wait(short, some...)
		want(t, err, context.DeadlineExceeded)
		cancel()
		_, err = mp.Wait(short, some...)
		want(t, err, context.DeadlineExceeded)
		go func() {
			time.Sleep(10 * time.Millisecond)
			e.Set()
		}()
		ready(t, some, e)
		ok(t, e.Clear())
	}
	ok(t, q.Put(ctx, []byte("one")))
	ok(t, s.Release(1))
	ready(t, items, q, s)
	_, err = w.Write([]byte("x"))
	ok(t, err)
	ready(t, items, q, s, fd)
	ok(t, q.Shutdown())
	must[[]byte](t)(q.TryGet(0))
	ready(t, []mp.Waitable{e, q}, q)
}

func TestWaitMistakes(t *testing.T) {
	ctx := watchdog(t)
	q, e := newQueue(t, mp.QueueOptions{}), newEvent(t)
	for _, bad := range [][]mp.Waitable{{}, {e, nil}, {e, mp.FD(-1)}, {e, &mp.Queue{}}} {
		_, err := mp.Wait(ctx, bad...)
		want(t, err, mp.ErrInvalid)
	}
	ended := make(chan error)
	go func() {
		_, err := mp.Wait(ctx, e, q)
		ended <- err
	}()
	time.Sleep(10 * time.Millisecond)
	ok(t, q.Close())
	want(t, <-ended, mp.ErrClosed)
	_, err := mp.Wait(ctx, e, q)
	want(t, err, mp.ErrClosed)
}

func TestWaitBetweenProcesses(t *testing.T) {
	ctx := watchdog(t)
	in, out := newQueue(t, mp.QueueOptions{}), newQueue(t, mp.QueueOptions{})
	inToken, outToken := must[mp.Token](t)(in.Token()), must[mp.Token](t)(out.Token())
	p := start(t, "exclaim", inToken[:], outToken[:])
	for range 20 {
		ok(t, in.Put(ctx, []byte("hello")))
		ready(t, []mp.Waitable{p, out}, out)
		if got := must[[]byte](t)(out.TryGet(0)); string(got) != "hello!" {
			t.Fatalf("%q", got)
		}
	}
	ok(t, in.Shutdown())
	ready(t, []mp.Waitable{p, out}, p)
	exits(t, p, 0)
}

func TestWaitForResults(t *testing.T) {
	pool := must[*mp.Pool](t)(mp.NewPool(mp.PoolOptions{Processes: 2}))
	defer pool.Close()
	submit := func(nap string) *mp.Result {
		return must[*mp.Result](t)(pool.ApplyAsync(mp.TaskOptions{}, "sleep", []byte(nap)))
	}
	slow, quick := submit("300ms"), submit("0s")
	defer slow.Close()
	defer quick.Close()
	ready(t, []mp.Waitable{slow, quick}, quick)
	ready(t, []mp.Waitable{slow}, slow)
	ready(t, []mp.Waitable{quick, slow}, quick, slow)
}

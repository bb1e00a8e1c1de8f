package mp_test

import (
	"context"
	"syscall"
	"testing"
	"time"

	"libmp.dev/mp"
)

// waitAndSet waits for one event, and then sets the other.
func waitAndSet(c *mp.Call) error {
	in, err := eventOf(c.Arg(0))
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := eventOf(c.Arg(1))
	if err != nil {
		return err
	}
	defer out.Close()
	if err := in.Wait(context.Background()); err != nil {
		return err
	}
	return out.Set()
}

// holdPermits dies with two permits.
func holdPermits(c *mp.Call) error {
	token, err := mp.TokenFromBytes(c.Arg(0))
	if err != nil {
		return err
	}
	s, err := mp.SemaphoreFromToken(token)
	if err != nil {
		return err
	}
	for range 2 {
		if err := s.Acquire(context.Background()); err != nil {
			return err
		}
	}
	return die()
}

func eventOf(raw []byte) (*mp.Event, error) {
	token, err := mp.TokenFromBytes(raw)
	if err != nil {
		return nil, err
	}
	return mp.EventFromToken(token)
}

func newEvent(t *testing.T) *mp.Event {
	t.Helper()
	e := must[*mp.Event](t)(mp.NewEvent())
	t.Cleanup(func() { e.Close() })
	return e
}

func TestEvent(t *testing.T) {
	ctx := watchdog(t)
	e := newEvent(t)
	for _, timeout := range []time.Duration{-1, 0, time.Millisecond} {
		want(t, e.TryWait(timeout), mp.ErrTimeout)
	}
	short, cancel := context.WithTimeout(ctx, 10*time.Millisecond)
	defer cancel()
	want(t, e.Wait(short), context.DeadlineExceeded)
	ended := make(chan error)
	go func() { ended <- e.Wait(ctx) }()
	ok(t, e.Set())
	ok(t, e.Set())
	ok(t, <-ended)
	if set := must[bool](t)(e.IsSet()); !set {
		t.Fatal("not set")
	}
	ok(t, e.Clear())
	if set := must[bool](t)(e.IsSet()); set {
		t.Fatal("not cleared")
	}
	go func() { ended <- e.Wait(ctx) }()
	time.Sleep(10 * time.Millisecond)
	ok(t, e.Close())
	want(t, <-ended, mp.ErrClosed)
}

func TestEventBetweenProcesses(t *testing.T) {
	ctx := watchdog(t)
	to, from := newEvent(t), newEvent(t)
	toToken, fromToken := must[mp.Token](t)(to.Token()), must[mp.Token](t)(from.Token())
	p := start(t, "waitAndSet", toToken[:], fromToken[:])
	want(t, from.TryWait(time.Millisecond), mp.ErrTimeout)
	ok(t, to.Set())
	ok(t, from.Wait(ctx))
	exits(t, p, 0)
}

// The permits of the dead come back, those of who goes on do not.
func TestRobustSemaphore(t *testing.T) {
	ctx := watchdog(t)
	s := must[*mp.Semaphore](t)(mp.NewSemaphore(3, mp.SemaphoreOptions{Robust: true}))
	defer s.Close()
	ok(t, s.Acquire(ctx))
	token := must[mp.Token](t)(s.Token())
	exits(t, start(t, "holdPermits", token[:]), -int(syscall.SIGKILL))
	ok(t, s.Acquire(ctx))
	ok(t, s.Acquire(ctx))
	want(t, s.TryAcquire(0), mp.ErrTimeout)
	ok(t, s.Release(3))
	want(t, s.Release(1), mp.ErrNotOwner)
	if n := must[uint32](t)(s.Value()); n != 3 {
		t.Fatalf("%d permits", n)
	}
}

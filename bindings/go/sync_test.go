package mp_test

import (
	"context"
	"os"
	"syscall"
	"testing"
	"time"

	"libmp.dev/mp"
)

// count adds to a number that only the lock guards: it is the one message of a queue.
func count(c *mp.Call) error {
	ctx := context.Background()
	lock, err := lockOf(c.Arg(0))
	if err != nil {
		return err
	}
	defer lock.Close()
	cell, err := queueOf(c.Arg(1))
	if err != nil {
		return err
	}
	defer cell.Close()
	for range 200 {
		if _, err := lock.Acquire(ctx); err != nil {
			return err
		}
		n, err := mp.GetValue[int](ctx, cell)
		if err != nil {
			return err
		}
		if err := mp.PutValue(ctx, cell, n+1); err != nil {
			return err
		}
		if err := lock.Release(); err != nil {
			return err
		}
	}
	return nil
}

// hold dies holding the lock.
func hold(c *mp.Call) error {
	lock, err := lockOf(c.Arg(0))
	if err != nil {
		return err
	}
	if _, err := lock.Acquire(context.Background()); err != nil {
		return err
	}
	return die()
}

func lockOf(raw []byte) (*mp.Lock, error) {
	token, err := mp.TokenFromBytes(raw)
	if err != nil {
		return nil, err
	}
	return mp.LockFromToken(token)
}

func queueOf(raw []byte) (*mp.Queue, error) {
	token, err := mp.TokenFromBytes(raw)
	if err != nil {
		return nil, err
	}
	return mp.QueueFromToken(token)
}

func TestLock(t *testing.T) {
	ctx := watchdog(t)
	lock := must[*mp.Lock](t)(mp.NewLock())
	if died := must[bool](t)(lock.Acquire(ctx)); died {
		t.Fatal("a new lock whose owner died")
	}
	if pid := must[int](t)(lock.Owner()); pid != os.Getpid() {
		t.Fatalf("owner %d", pid)
	}
	for _, timeout := range []time.Duration{-1, 0, time.Millisecond} {
		_, err := lock.TryAcquire(timeout)
		want(t, err, mp.ErrTimeout)
		want(t, err, os.ErrDeadlineExceeded)
	}
	ok(t, lock.Release())
	want(t, lock.Release(), mp.ErrOverflow)
	ok(t, lock.Close())
	ok(t, lock.Close())
	_, err := lock.Acquire(ctx)
	want(t, err, mp.ErrClosed)
}

func TestLockBetweenProcesses(t *testing.T) {
	ctx := watchdog(t)
	lock := must[*mp.Lock](t)(mp.NewLock())
	defer lock.Close()
	cell := must[*mp.Queue](t)(mp.NewQueue(mp.QueueOptions{}))
	defer cell.Close()
	ok(t, mp.PutValue(ctx, cell, 0))
	lockToken, cellToken := must[mp.Token](t)(lock.Token()), must[mp.Token](t)(cell.Token())
	var running []*mp.Process
	for range 3 {
		running = append(running, start(t, "count", lockToken[:], cellToken[:]))
	}
	for _, p := range running {
		exits(t, p, 0)
	}
	if n := must[int](t)(mp.GetValue[int](ctx, cell)); n != 600 {
		t.Fatalf("counted %d", n)
	}
}

func TestOwnerDeath(t *testing.T) {
	ctx := watchdog(t)
	lock := must[*mp.Lock](t)(mp.NewLock())
	defer lock.Close()
	token := must[mp.Token](t)(lock.Token())
	exits(t, start(t, "hold", token[:]), -int(syscall.SIGKILL))
	if died := must[bool](t)(lock.Acquire(ctx)); !died {
		t.Fatal("not told of the dead owner")
	}
	ok(t, lock.Release())
	if died := must[bool](t)(lock.Acquire(ctx)); died {
		t.Fatal("told twice")
	}
}

// A wait ends by its context, and by the handle's Close; the lock is as before.
func TestWaitsEnd(t *testing.T) {
	lock := must[*mp.Lock](t)(mp.NewLock())
	must[bool](t)(lock.Acquire(context.Background()))
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	_, err := lock.Acquire(ctx)
	want(t, err, context.DeadlineExceeded)
	_, err = lock.Acquire(ctx)
	want(t, err, context.DeadlineExceeded)

	ended := make(chan error)
	go func() {
		_, err := lock.Acquire(watchdog(t))
		ended <- err
	}()
	time.Sleep(20 * time.Millisecond)
	ok(t, lock.Close())
	want(t, <-ended, mp.ErrClosed)
}

func TestSemaphore(t *testing.T) {
	ctx := watchdog(t)
	s := must[*mp.Semaphore](t)(mp.NewSemaphore(1, mp.SemaphoreOptions{Max: 2}))
	defer s.Close()
	ok(t, s.Acquire(ctx))
	want(t, s.TryAcquire(0), mp.ErrTimeout)
	same := must[*mp.Semaphore](t)(mp.SemaphoreFromToken(must[mp.Token](t)(s.Token())))
	defer same.Close()
	go func() {
		time.Sleep(10 * time.Millisecond)
		same.Release(1)
	}()
	ok(t, s.Acquire(ctx))
	ok(t, s.Release(2))
	want(t, s.Release(1), mp.ErrOverflow)
	if n := must[uint32](t)(s.Value()); n != 2 {
		t.Fatalf("%d permits", n)
	}
}

func TestTokens(t *testing.T) {
	lock := must[*mp.Lock](t)(mp.NewLock())
	token := must[mp.Token](t)(lock.Token())
	ok(t, token.Keep())
	ok(t, lock.Close())
	again := must[*mp.Lock](t)(mp.LockFromToken(token))
	ok(t, again.Close())
	ok(t, token.Drop())
	_, err := mp.LockFromToken(token)
	want(t, err, mp.ErrStale)
	_, err = mp.TokenFromBytes(make([]byte, 31))
	want(t, err, mp.ErrInvalid)
}

package mp_test

import (
	"context"
	"fmt"
	"os"
	"syscall"
	"testing"

	"libmp.dev/mp"
)

// arenaName is a name that no other test has; its arena goes at the end.
func arenaName(t *testing.T) string {
	name := fmt.Sprintf("test-go-%s-%d", t.Name(), os.Getpid())
	t.Cleanup(func() { mp.UnlinkArena(name) })
	return name
}

func openArena(t *testing.T, name string, o mp.ArenaOptions) *mp.Arena {
	t.Helper()
	a := must[*mp.Arena](t)(mp.OpenArena(name, o))
	t.Cleanup(func() { a.Close() })
	return a
}

// putAndDie opens an arena as a stranger would, puts a message, and dies with the lock in its hands.
func putAndDie(c *mp.Call) error {
	ctx := context.Background()
	a, err := mp.OpenArena(string(c.Arg(0)), mp.ArenaOptions{})
	if err != nil {
		return err
	}
	lock, err := a.Lock("lock")
	if err != nil {
		return err
	}
	if _, err := lock.Acquire(ctx); err != nil {
		return err
	}
	q, err := a.Queue("jobs", &mp.QueueOptions{})
	if err != nil {
		return err
	}
	if err := mp.PutValue(ctx, q, os.Getpid()); err != nil {
		return err
	}
	return die()
}

func TestArenaObjects(t *testing.T) {
	ctx := watchdog(t)
	name := arenaName(t)
	a, same := openArena(t, name, mp.ArenaOptions{}), openArena(t, name, mp.ArenaOptions{MustExist: true})
	_, err := a.Queue("jobs", nil)
	want(t, err, mp.ErrNotFound)
	jobs := must[*mp.Queue](t)(a.Queue("jobs", &mp.QueueOptions{MaxSize: 3}))
	defer jobs.Close()
	ok(t, jobs.Put(ctx, []byte("first")))
	found := must[*mp.Queue](t)(same.Queue("jobs", nil))
	defer found.Close()
	if got := must[[]byte](t)(found.Get(ctx)); string(got) != "first" {
		t.Fatalf("got %q", got)
	}
	_, err = same.Queue("jobs", &mp.QueueOptions{MaxSize: 4})
	want(t, err, mp.ErrExists)
	_, err = same.Lock("jobs")
	want(t, err, mp.ErrExists)

	rlock := must[*mp.RLock](t)(a.RLock("rlock"))
	defer rlock.Close()
	must[bool](t)(rlock.Acquire(ctx, mp.NewOwner()))
	held := must[*mp.RLock](t)(same.RLock("rlock"))
	defer held.Close()
	_, err = held.TryAcquire(0, mp.NewOwner())
	want(t, err, mp.ErrTimeout)

	event := must[*mp.Event](t)(a.Event("event"))
	defer event.Close()
	ok(t, event.Set())
	sameEvent := must[*mp.Event](t)(same.Event("event"))
	defer sameEvent.Close()
	ok(t, sameEvent.Wait(ctx))

	lock := must[*mp.Lock](t)(a.Lock("lock"))
	defer lock.Close()
	must[bool](t)(lock.Acquire(ctx))
	condition := must[*mp.Condition](t)(same.Condition("condition", lock))
	defer condition.Close()
	ok(t, condition.NotifyAll())
	_, err = a.Condition("condition", nil)
	want(t, err, mp.ErrInvalid)
	loose := must[*mp.Lock](t)(mp.NewLock())
	defer loose.Close()
	_, err = a.Condition("not of the arena", loose)
	want(t, err, mp.ErrInvalid)

	barrier := must[*mp.Barrier](t)(a.Barrier("barrier", 1))
	defer barrier.Close()
	must[int](t)(barrier.Wait(ctx))
	_, err = same.Barrier("barrier", 2)
	want(t, err, mp.ErrExists)

	permits := must[*mp.Semaphore](t)(a.Semaphore("permits", 1, mp.SemaphoreOptions{Max: 2}))
	defer permits.Close()
	_, err = same.Semaphore("permits", 1, mp.SemaphoreOptions{})
	want(t, err, mp.ErrExists)

	ok(t, a.Remove("jobs"))
	want(t, a.Remove("jobs"), mp.ErrNotFound)
	_, err = same.Queue("jobs", nil)
	want(t, err, mp.ErrNotFound)
	_, err = a.Queue("a\x00b", nil)
	want(t, err, mp.ErrInvalid)
}

func TestArenaShares(t *testing.T) {
	name := arenaName(t)
	a, same := openArena(t, name, mp.ArenaOptions{}), openArena(t, name, mp.ArenaOptions{})
	v := must[*mp.Value[int64]](t)(mp.ArenaValue[int64](a, "value", 7, mp.LockPlain))
	defer v.Close()
	*v.Ptr()++
	sameValue := must[*mp.Value[int64]](t)(mp.ArenaValue[int64](same, "value", 1, mp.LockPlain))
	defer sameValue.Close()
	if n := *sameValue.Ptr(); n != 8 {
		t.Fatal(n)
	}
	_, err := mp.ArenaValue[int32](a, "value", 7, mp.LockPlain)
	want(t, err, mp.ErrExists)
	_, err = mp.ArenaValue[int64](a, "value", 7, mp.LockNone)
	want(t, err, mp.ErrExists)
	_, err = mp.ArenaValue(a, "text", "text", mp.LockNone)
	want(t, err, mp.ErrInvalid)

	s := must[*mp.Array[point]](t)(mp.ArenaArray[point](a, "array", 10, mp.LockRecursive))
	defer s.Close()
	s.Slice()[9].X = 5
	sameArray := must[*mp.Array[point]](t)(mp.ArenaArray[point](same, "array", 10, mp.LockRecursive))
	defer sameArray.Close()
	if n := sameArray.Slice()[9].X; n != 5 {
		t.Fatal(n)
	}
	_, err = mp.ArenaArray[point](a, "array", 11, mp.LockRecursive)
	want(t, err, mp.ErrExists)
	_, err = mp.ArenaArray[point](a, "array", -1, mp.LockRecursive)
	want(t, err, mp.ErrInvalid)
	_, err = mp.ArenaArray[point](a, "value", 10, mp.LockRecursive)
	want(t, err, mp.ErrExists)
}

func TestArenaOpens(t *testing.T) {
	ctx := watchdog(t)
	name := arenaName(t)
	_, err := mp.OpenArena(name, mp.ArenaOptions{MustExist: true})
	want(t, err, mp.ErrNotFound)
	_, err = mp.OpenArena("", mp.ArenaOptions{})
	want(t, err, mp.ErrInvalid)
	a := must[*mp.Arena](t)(mp.OpenArena(name, mp.ArenaOptions{Mode: 0o640}))
	lock := must[*mp.Lock](t)(a.Lock("lock"))
	defer lock.Close()
	ok(t, a.Close())
	_, err = a.Lock("lock")
	want(t, err, mp.ErrClosed)
	// The lock outlives the handle of its arena.
	must[bool](t)(lock.Acquire(ctx))
	ok(t, lock.Release())

	other := uint32(os.Geteuid() + 1)
	_, err = mp.OpenArena(name, mp.ArenaOptions{UID: &other})
	want(t, err, mp.ErrAccess)
	ok(t, mp.UnlinkArena(name))
	want(t, mp.UnlinkArena(name), mp.ErrNotFound)
	_, err = openArena(t, name, mp.ArenaOptions{}).Queue("lock", nil)
	want(t, err, mp.ErrNotFound)
}

func TestArenaBetweenProcesses(t *testing.T) {
	ctx := watchdog(t)
	name := arenaName(t)
	p := start(t, "putAndDie", []byte(name))
	a := openArena(t, name, mp.ArenaOptions{})
	q := must[*mp.Queue](t)(a.Queue("jobs", &mp.QueueOptions{}))
	defer q.Close()
	if pid := must[int](t)(mp.GetValue[int](ctx, q)); pid != must[int](t)(p.Pid()) {
		t.Fatalf("a message of process %d", pid)
	}
	exits(t, p, -int(syscall.SIGKILL))
	lock := must[*mp.Lock](t)(a.Lock("lock"))
	defer lock.Close()
	if died := must[bool](t)(lock.Acquire(ctx)); !died {
		t.Fatal("not told of the dead owner")
	}
	ok(t, lock.Release())
}

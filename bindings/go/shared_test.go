package mp_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"libmp.dev/mp"
)

type point struct {
	X, Y int32
	Tags [4]uint8
}

// addUp adds to a counter by atomics, and to two sums by the lock of their array.
func addUp(c *mp.Call) error {
	ctx := context.Background()
	counter, err := valueOf(c.Arg(0))
	if err != nil {
		return err
	}
	defer counter.Close()
	sums, err := arrayOf(c.Arg(1))
	if err != nil {
		return err
	}
	defer sums.Close()
	for i := range 100 {
		atomic.AddInt64(counter.Ptr(), 1)
		if _, err := sums.Acquire(ctx); err != nil {
			return err
		}
		s := sums.Slice()
		s[0]++
		s[1] += float64(i)
		if err := sums.Release(); err != nil {
			return err
		}
	}
	return nil
}

// holdBoth dies holding the locks of a value and an array.
func holdBoth(c *mp.Call) error {
	v, err := valueOf(c.Arg(0))
	if err != nil {
		return err
	}
	a, err := arrayOf(c.Arg(1))
	if err != nil {
		return err
	}
	if _, err := v.Acquire(context.Background()); err != nil {
		return err
	}
	if _, err := a.Acquire(context.Background()); err != nil {
		return err
	}
	return die()
}

// writeMemory writes to shared memory, which it finds by a token and by a name.
func writeMemory(c *mp.Call) error {
	token, err := mp.TokenFromBytes(c.Arg(0))
	if err != nil {
		return err
	}
	private, err := mp.SharedMemoryFromToken(token)
	if err != nil {
		return err
	}
	defer private.Close()
	named, err := mp.OpenSharedMemory(string(c.Arg(1)))
	if err != nil {
		return err
	}
	defer named.Close()
	copy(private.Bytes(), "private")
	copy(named.Bytes(), "named")
	return nil
}

func valueOf(raw []byte) (*mp.Value[int64], error) {
	token, err := mp.TokenFromBytes(raw)
	if err != nil {
		return nil, err
	}
	return mp.ValueFromToken[int64](token)
}

func arrayOf(raw []byte) (*mp.Array[float64], error) {
	token, err := mp.TokenFromBytes(raw)
	if err != nil {
		return nil, err
	}
	return mp.ArrayFromToken[float64](token)
}

func TestValue(t *testing.T) {
	begin := point{1, -2, [4]uint8{3, 4, 5, 6}}
	v := must[*mp.Value[point]](t)(mp.NewValue(begin, mp.LockNone))
	defer v.Close()
	token := must[mp.Token](t)(v.Token())
	same := must[*mp.Value[point]](t)(mp.ValueFromToken[point](token))
	defer same.Close()
	v.Ptr().Y = 7
	if got := *same.Ptr(); got != (point{1, 7, begin.Tags}) {
		t.Fatal(got)
	}
	_, err := v.TryAcquire(0)
	want(t, err, mp.ErrUnsupported)
	_, err = mp.ValueFromToken[int64](token)
	want(t, err, mp.ErrInvalid)
	_, err = mp.ArrayFromToken[point](token)
	want(t, err, mp.ErrInvalid)
	ok(t, v.Close())
	if v.Ptr() != nil {
		t.Fatal("memory after Close")
	}
}

func TestArray(t *testing.T) {
	a := must[*mp.Array[point]](t)(mp.NewArray[point](1000, mp.ArrayOptions{HugePages: true}))
	defer a.Close()
	s := a.Slice()
	if len(s) != 1000 || cap(s) != 1000 || s[999] != (point{}) {
		t.Fatal(len(s), cap(s))
	}
	s[999].X = 5
	same := must[*mp.Array[point]](t)(mp.ArrayFromToken[point](must[mp.Token](t)(a.Token())))
	defer same.Close()
	if got := same.Slice()[999].X; got != 5 {
		t.Fatal(got)
	}
	_, err := mp.ArrayFromToken[int16](must[mp.Token](t)(a.Token()))
	want(t, err, mp.ErrInvalid)
	empty := must[*mp.Array[int]](t)(mp.NewArray[int](0, mp.ArrayOptions{}))
	defer empty.Close()
	if s := empty.Slice(); s == nil || len(s) != 0 {
		t.Fatal(s)
	}
	_, err = mp.NewArray[int](-1, mp.ArrayOptions{})
	want(t, err, mp.ErrInvalid)
	_, err = mp.NewArray[int](1, mp.ArrayOptions{Lock: 9})
	want(t, err, mp.ErrInvalid)
	ok(t, a.Close())
	if a.Slice() != nil {
		t.Fatal("memory after Close")
	}
}

// Types whose values mean nothing in another process are refused, and the error says which part it is.
func TestOnlyPlainTypes(t *testing.T) {
	_, err := mp.NewValue("text", mp.LockNone)
	want(t, err, mp.ErrInvalid)
	_, err = mp.NewArray[[]byte](1, mp.ArrayOptions{})
	want(t, err, mp.ErrInvalid)
	_, err = mp.NewValue(struct{}{}, mp.LockNone)
	want(t, err, mp.ErrInvalid)
	_, err = mp.ArrayFromToken[*int](mp.Token{})
	want(t, err, mp.ErrInvalid)
	_, err = mp.NewValue(struct {
		N    int
		Deep [2]struct{ M map[int]int }
	}{}, mp.LockNone)
	want(t, err, mp.ErrInvalid)
	if !strings.Contains(err.Error(), "map[int]int") {
		t.Fatal(err)
	}
}

// A lock of either kind keeps goroutines apart too.
func TestSharedLocks(t *testing.T) {
	for _, kind := range []mp.LockKind{mp.LockPlain, mp.LockRecursive} {
		ctx := watchdog(t)
		v := must[*mp.Value[int]](t)(mp.NewValue(0, kind))
		defer v.Close()
		var all sync.WaitGroup
		for range 4 {
			all.Add(1)
			go func() {
				defer all.Done()
				for range 50 {
					if _, err := v.Acquire(ctx); err != nil {
						t.Error(err)
						return
					}
					*v.Ptr()++
					if err := v.Release(); err != nil {
						t.Error(err)
						return
					}
				}
			}()
		}
		all.Wait()
		if n := *v.Ptr(); n != 200 {
			t.Fatalf("counted %d", n)
		}
		must[bool](t)(v.Acquire(ctx))
		_, err := v.TryAcquire(time.Millisecond)
		want(t, err, mp.ErrTimeout)
		ok(t, v.Release())
		if v.Release() == nil {
			t.Fatal("a free lock was released")
		}
	}
}

func TestSharedBetweenProcesses(t *testing.T) {
	for _, kind := range []mp.LockKind{mp.LockPlain, mp.LockRecursive} {
		counter := must[*mp.Value[int64]](t)(mp.NewValue[int64](0, mp.LockNone))
		defer counter.Close()
		sums := must[*mp.Array[float64]](t)(mp.NewArray[float64](2, mp.ArrayOptions{Lock: kind}))
		defer sums.Close()
		counterToken, sumsToken := must[mp.Token](t)(counter.Token()), must[mp.Token](t)(sums.Token())
		var running []*mp.Process
		for range 3 {
			running = append(running, start(t, "addUp", counterToken[:], sumsToken[:]))
		}
		for _, p := range running {
			exits(t, p, 0)
		}
		if n, s := atomic.LoadInt64(counter.Ptr()), sums.Slice(); n != 300 || s[0] != 300 || s[1] != 3*99*50 {
			t.Fatal(n, s)
		}
	}
}

func TestSharedOwnerDeath(t *testing.T) {
	for _, kind := range []mp.LockKind{mp.LockPlain, mp.LockRecursive} {
		ctx := watchdog(t)
		v := must[*mp.Value[int64]](t)(mp.NewValue[int64](0, kind))
		defer v.Close()
		a := must[*mp.Array[float64]](t)(mp.NewArray[float64](2, mp.ArrayOptions{Lock: kind}))
		defer a.Close()
		vToken, aToken := must[mp.Token](t)(v.Token()), must[mp.Token](t)(a.Token())
		exits(t, start(t, "holdBoth", vToken[:], aToken[:]), -int(syscall.SIGKILL))
		for _, died := range []bool{true, false} {
			first, second := must[bool](t)(v.Acquire(ctx)), must[bool](t)(a.Acquire(ctx))
			if first != died || second != died {
				t.Fatal(first, second)
			}
			ok(t, v.Release())
			ok(t, a.Release())
		}
	}
}

func TestSharedMemory(t *testing.T) {
	name := fmt.Sprintf("test-go-memory-%d", os.Getpid())
	named := must[*mp.SharedMemory](t)(mp.CreateSharedMemory(name, 5000))
	t.Cleanup(func() { mp.UnlinkSharedMemory(name) })
	defer named.Close()
	private := must[*mp.SharedMemory](t)(mp.CreateSharedMemory("", 100))
	defer private.Close()
	if named.Name() != name || private.Name() != "" || len(named.Bytes()) != 5000 || len(private.Bytes()) != 100 {
		t.Fatal(named.Name(), private.Name(), len(named.Bytes()), len(private.Bytes()))
	}
	_, err := mp.CreateSharedMemory(name, 1)
	want(t, err, mp.ErrExists)
	token := must[mp.Token](t)(private.Token())
	exits(t, start(t, "writeMemory", token[:], []byte(name)), 0)
	if got := string(private.Bytes()[:8]) + string(named.Bytes()[:6]); got != "private\x00named\x00" {
		t.Fatalf("%q", got)
	}
	ok(t, mp.UnlinkSharedMemory(name))
	want(t, mp.UnlinkSharedMemory(name), mp.ErrNotFound)
	_, err = mp.OpenSharedMemory(name)
	want(t, err, mp.ErrNotFound)
	_, err = mp.OpenSharedMemory("a\x00b")
	want(t, err, mp.ErrInvalid)
	_, err = mp.CreateSharedMemory("", -1)
	want(t, err, mp.ErrInvalid)
	ok(t, named.Close())
	if named.Bytes() != nil {
		t.Fatal("memory after Close")
	}
}

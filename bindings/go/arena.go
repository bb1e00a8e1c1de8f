package mp

import (
	"io/fs"
	"reflect"
	"runtime"
	"strings"
	"unsafe"

	"libmp.dev/mp/internal/cmp"
)

// Arena is shared memory with a name: who opens the same name finds the same objects in it, again by their names, and
// whoever comes first makes them. Programs that share an arena need not be related, nor written in Go. It stays until
// UnlinkArena, an object until Remove, whoever lives or dies meanwhile.
//
// An object that is there with other options, or of another kind, is ErrExists. The objects are closed one by one, and
// outlive the Arena.
type Arena struct{ h *handle[cmp.Arena] }

// ArenaOptions say how to open an arena.
type ArenaOptions struct {
	Capacity  uint64      // How many bytes a new one may grow to; 0: as many as the machine has, up to 64 GiB.
	Mode      fs.FileMode // The permissions of a new one's file, whatever the umask; 0: 0600.
	UID       *uint32     // Whom the file must belong to; nil: this process's effective user.
	MustExist bool        // ErrNotFound rather than a new one.
}

// OpenArena opens the arena of this name, and makes it if there is none.
func OpenArena(name string, o ArenaOptions) (*Arena, error) {
	if err := checkName(name); err != nil {
		return nil, err
	}
	how := cmp.ArenaHow{Capacity: o.Capacity, Mode: uint32(o.Mode), UID: o.UID, MustExist: o.MustExist}
	ptr, ret := cmp.ArenaOpen(name, how)
	return own(ptr, ret, (*cmp.Arena).Free, func(h *handle[cmp.Arena]) *Arena { return &Arena{h} })
}

// UnlinkArena takes the arena's name away. Who has it open goes on with it; who opens the name from now on makes a new
// one.
func UnlinkArena(name string) error {
	if err := checkName(name); err != nil {
		return err
	}
	return check(cmp.ArenaUnlink(name))
}

// checkName refuses what C would cut.
func checkName(name string) error {
	if strings.ContainsRune(name, 0) {
		return errorf(ErrInvalid, "the name %q has a NUL in it", name)
	}
	return nil
}

// inArena makes a handle of what a name stands for.
func inArena[P, T any](a *Arena, name string, find func(*cmp.Arena) (*P, cmp.Ret), of func(*P, cmp.Ret) (T, error)) (out T, err error) {
	defer runtime.KeepAlive(a)
	if err := checkName(name); err != nil {
		return out, err
	}
	ptr, err := a.h.enter()
	if err != nil {
		return out, err
	}
	defer a.h.leave()
	return of(find(ptr))
}

// Queue is the queue of this name, made with these options if there is none; without options, ErrNotFound.
func (a *Arena) Queue(name string, o *QueueOptions) (*Queue, error) {
	var how *cmp.QueueHow
	if o != nil {
		how = o.how()
	}
	return inArena(a, name, func(p *cmp.Arena) (*cmp.Queue, cmp.Ret) { return p.Queue(name, how) }, queueOf)
}

// Lock is the lock of this name, made if there is none.
func (a *Arena) Lock(name string) (*Lock, error) {
	return inArena(a, name, func(p *cmp.Arena) (*cmp.Lock, cmp.Ret) { return p.Lock(name) }, lockOf)
}

// RLock is the recursive lock of this name, made if there is none.
func (a *Arena) RLock(name string) (*RLock, error) {
	return inArena(a, name, func(p *cmp.Arena) (*cmp.RLock, cmp.Ret) { return p.RLock(name) }, rlockOf)
}

// Semaphore is the semaphore of this name, made with value permits if there is none.
func (a *Arena) Semaphore(name string, value uint32, o SemaphoreOptions) (*Semaphore, error) {
	return inArena(a, name, func(p *cmp.Arena) (*cmp.Semaphore, cmp.Ret) {
		return p.Semaphore(name, value, o.Max, o.Robust)
	}, semaphoreOf)
}

// Condition is the condition of this name, made with this lock, which is another object of the arena, if there is none.
func (a *Arena) Condition(name string, l *Lock) (*Condition, error) {
	if l == nil {
		return nil, errorf(ErrInvalid, "a condition with a name needs a lock with a name")
	}
	defer runtime.KeepAlive(l)
	lock, err := l.h.enter()
	if err != nil {
		return nil, err
	}
	defer l.h.leave()
	return inArena(a, name, func(p *cmp.Arena) (*cmp.Condition, cmp.Ret) { return p.Condition(name, lock) }, conditionOf)
}

// Barrier is the barrier of this name, made for so many goroutines if there is none.
func (a *Arena) Barrier(name string, parties uint32) (*Barrier, error) {
	return inArena(a, name, func(p *cmp.Arena) (*cmp.Barrier, cmp.Ret) { return p.Barrier(name, parties) }, barrierOf)
}

// Event is the event of this name, made if there is none.
func (a *Arena) Event(name string) (*Event, error) {
	return inArena(a, name, func(p *cmp.Arena) (*cmp.Event, cmp.Ret) { return p.Event(name) }, eventOf)
}

// ArenaValue is the value of this name in the arena, made with these if there is none. One that is there keeps what it
// has; of another size or with another lock it is ErrExists.
func ArenaValue[T any](a *Arena, name string, init T, lock LockKind) (*Value[T], error) {
	kind, err := plainWith[T](lock)
	if err != nil {
		return nil, err
	}
	return inArena(a, name, func(p *cmp.Arena) (*cmp.Value, cmp.Ret) {
		return p.Value(name, unsafe.Sizeof(init), unsafe.Pointer(&init), kind)
	}, valueOf[T])
}

// ArenaArray is the array of this name in the arena, made of n zeroes if there is none. One that is there keeps what it
// has; of another length, with elements of another size or with another lock it is ErrExists.
func ArenaArray[T any](a *Arena, name string, n int, lock LockKind) (*Array[T], error) {
	kind, err := plainWith[T](lock)
	if err != nil {
		return nil, err
	}
	if err := checkLength(n); err != nil {
		return nil, err
	}
	return inArena(a, name, func(p *cmp.Arena) (*cmp.Array, cmp.Ret) {
		return p.Array(name, reflect.TypeFor[T]().Size(), n, kind)
	}, arrayOf[T])
}

// Remove takes the name away from its object, which goes with its last handle. The name is free again at once.
func (a *Arena) Remove(name string) error {
	defer runtime.KeepAlive(a)
	if err := checkName(name); err != nil {
		return err
	}
	return a.h.call(func(p *cmp.Arena) cmp.Ret { return p.Remove(name) })
}

// Close drops this handle. The arena and its objects stay.
func (a *Arena) Close() error {
	a.h.close()
	return nil
}

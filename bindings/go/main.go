package mp

import (
	"os"
	"runtime"

	"libmp.dev/mp/internal/cmp"
)

// StartMethod is how a child comes to be.
type StartMethod int32

// The start methods. The default is StartSpawn, which makes a process; StartThread makes a thread of this one, which
// can't be ended from outside.
const (
	StartDefault    StartMethod = 0
	StartFork       StartMethod = StartMethod(cmp.StartFork)
	StartForkserver StartMethod = StartMethod(cmp.StartForkserver)
	StartSpawn      StartMethod = StartMethod(cmp.StartSpawn)
	StartThread     StartMethod = StartMethod(cmp.StartThread)
)

// resolve refuses what Go can't do: its runtime has threads from the first instant, and does not survive a fork.
func (m StartMethod) resolve() (int32, error) {
	switch m {
	case StartDefault:
		return cmp.StartSpawn, nil
	case StartFork, StartForkserver:
		return 0, errorf(ErrUnsupported, "a Go program can't fork: use StartSpawn or StartThread")
	default:
		return int32(m), nil
	}
}

// registeredName is what the C side knows all Go functions by.
const registeredName = "go"

// Main comes first in main, and first in TestMain, after all functions are registered. In a child it runs what the
// child was started for, and does not return. It panics if the library can't start.
func Main() {
	functions.seal()
	// The child's C code stays on one thread, as a C main would.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := check(cmp.Register(registeredName)); err != nil {
		panic(err)
	}
	if err := check(cmp.MainInit(os.Args)); err != nil {
		panic(err)
	}
}

// SetExecutable names the program that children run instead of this one: see mp_set_executable. It must call Main, and
// its functions are found by their names. An empty path sets it back.
func SetExecutable(path string) error { return check(cmp.SetExecutable(path)) }

// CPUCount is how many processors this process may use: affinity and cgroup quota counted.
func CPUCount() int { return cmp.CPUCount() }

// Version is the library's version.
func Version() string { return cmp.Version() }

// Token is the name of a shared object: 32 plain bytes to send anywhere. The FromToken functions make a handle of it in
// any process of the family.
type Token cmp.Token

// Keep lets the object live without any handle, until Drop.
func (t Token) Keep() error { return check((*cmp.Token)(&t).Keep()) }

// Drop ends a Keep; any process may.
func (t Token) Drop() error { return check((*cmp.Token)(&t).Drop()) }

// TokenFromBytes is the token that the bytes of one make.
func TokenFromBytes(b []byte) (Token, error) {
	if len(b) != len(Token{}) {
		return Token{}, errorf(ErrInvalid, "a token has %d bytes, not %d", len(Token{}), len(b))
	}
	return Token(b), nil
}

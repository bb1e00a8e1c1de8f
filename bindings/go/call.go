package mp

import (
	"fmt"
	"maps"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"sync"

	"libmp.dev/mp/internal/cmp"
)

// Call is what a function sees of the call that runs it. It must not be used after the function has returned.
type Call struct {
	c    *cmp.Call
	args [][]byte
}

// NArg is the number of arguments; an item of a map is one.
func (c *Call) NArg() int { return len(c.args) }

// Arg is an argument, not a copy: its bytes are valid until the function returns. It is nil where there is none.
func (c *Call) Arg(i int) []byte {
	if i < 0 || i >= len(c.args) {
		return nil
	}
	return c.args[i]
}

// Args are all arguments; see Arg.
func (c *Call) Args() [][]byte { return c.args }

// Return sets the result to a copy of data; the last one counts.
func (c *Call) Return(data []byte) error { return check(c.c.Return(data)) }

// ReturnBuffer is memory for a result of n bytes, to be filled before the function returns: no copy is made of it.
func (c *Call) ReturnBuffer(n int) ([]byte, error) {
	if n < 0 {
		return nil, errorf(ErrInvalid, "a result can't have %d bytes", n)
	}
	data, ret := c.c.ReturnBuffer(n)
	return data, check(ret)
}

// registry are the functions that children can run, fixed once Main has been called.
type registry struct {
	mu     sync.RWMutex
	byName map[string]func(*Call) error
	sealed bool
}

var functions = registry{byName: make(map[string]func(*Call) error)}

// Register names fn for other processes. It belongs into init functions, or before Main, and panics on an empty name, a
// name taken twice, and after Main, since a child would not get to see it. An error of fn arrives with its text, a
// panic with text and stack. One that calls runtime.Goexit ends its process, which with StartThread is this one.
func Register(name string, fn func(*Call) error) {
	functions.mu.Lock()
	defer functions.mu.Unlock()
	switch {
	case name == "" || fn == nil:
		panic("mp: Register needs a name and a function")
	case functions.byName[name] != nil:
		panic(fmt.Sprintf("mp: Register: %q is taken", name))
	case functions.sealed:
		panic(fmt.Sprintf("mp: Register(%q) after Main: a child would not have it", name))
	}
	functions.byName[name] = fn
}

func (r *registry) seal() {
	r.mu.Lock()
	r.sealed = true
	r.mu.Unlock()
}

func (r *registry) find(name string) (func(*Call) error, error) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if fn := r.byName[name]; fn != nil {
		return fn, nil
	}
	known := slices.Sorted(maps.Keys(r.byName))
	return nil, errorf(ErrNotFound, "no function is registered as %q; there are: %s", name, strings.Join(known, ", "))
}

// arguments are those of one call of the function, which must be registered: all Go functions are one function to the
// C side, and the first argument says which.
func arguments(name string, args [][]byte) ([][]byte, error) {
	if _, err := functions.find(name); err != nil {
		return nil, err
	}
	return append([][]byte{[]byte(name)}, args...), nil
}

func init() { cmp.Run = run }

// forgetVariable removes what told this process that it is a child from Go's own copy of the environment, too: a
// program that the function runs must not take itself for one.
var forgetVariable = sync.OnceFunc(func() { os.Unsetenv(cmp.ChildVariable) })

// exitGoexit is what a worker exits with whose function called runtime.Goexit.
const exitGoexit = 70

// run runs in the child: an error or a panic becomes the call's failure, and its code the answer.
func run(c *cmp.Call) (code int32) {
	forgetVariable()
	returned := false
	defer func() {
		if r := recover(); r != nil {
			code = 1
			c.Fail(code, fmt.Sprintf("panic: %v\n\n%s", r, debug.Stack()))
		} else if !returned {
			// The C frames below can't be left this way: the worker would hang with its task.
			fmt.Fprintln(os.Stderr, "mp: a registered function called runtime.Goexit")
			os.Exit(exitGoexit)
		}
	}()
	code = call(c)
	returned = true
	return code
}

func call(c *cmp.Call) int32 {
	args := c.Args()
	if len(args) == 0 {
		args = [][]byte{nil}
	}
	fn, err := functions.find(string(args[0]))
	if err == nil {
		err = fn(&Call{c: c, args: args[1:]})
	}
	if err == nil {
		return 0
	}
	code := codeOf(err)
	c.Fail(code, err.Error())
	return code
}

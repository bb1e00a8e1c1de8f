// Package mp runs Go functions in other processes, and lets processes share what they work on: libmp's pools, processes,
// queues, pipes, locks, conditions, barriers, values, arrays and named arenas.
//
//	func init() {
//		mp.Register("upper", func(c *mp.Call) error {
//			return c.Return(bytes.ToUpper(c.Arg(0)))
//		})
//	}
//
//	func main() {
//		mp.Main() // first: in a child it does not return
//		pool, err := mp.NewPool(mp.PoolOptions{Processes: 4})
//		if err != nil {
//			log.Fatal(err)
//		}
//		defer pool.Close()
//		out, err := pool.Map(context.Background(), "upper", [][]byte{[]byte("a"), []byte("b")})
//		...
//	}
//
// # Functions
//
// Functions travel by name. Register them in init functions, or before Main: a child is the same program started
// again, and never gets further than Main. Tests that start children call Main first in TestMain.
// RegisterFunc, Map and Apply do the same for functions of Go values, which encoding/gob carries; []byte and string
// travel as they are. An error that a function returns arrives with its text, and a panic with its text and stack.
//
// # Processes
//
// Go can't fork, so every child is spawned: StartFork and StartForkserver answer ErrUnsupported. A worker that dies
// fails only the task in its hands, with ErrWorkerDied, its pid and signal in the TaskError; it is replaced.
// A Go program that ends does not run C's exit handlers: join what should be waited for. Pools and daemon processes
// end with the program, however it ends.
//
// # Sharing
//
// An object made by a New function is known to others by its token, which is sent to them as an argument or in a message.
// Programs that are not related find objects by their names in an Arena, whatever language they are written in.
//
// A lock that a process died with goes to the next one, who is told by ownerDied that what the lock guards may be
// half-written. What locks, conditions and barriers exclude or count are goroutines, wherever they run; but what a lock
// belongs to is the process, and what an RLock belongs to is an Owner that the program names. The memory of a Value, an
// Array and SharedMemory is C's: it can hold no Go pointers, and goes with Close.
//
// A message that was taken from a Queue is gone with its taker, unless the queue redelivers: then it comes back until a
// Delivery of it was acknowledged. Every taker dying over the same message would do so for ever; that is for the program
// to see, which knows what a message is.
//
// # Waiting
//
// Blocking methods take a context and answer its error when it is done; the Try forms take a timeout instead, zero for
// none, and answer ErrTimeout, ErrFull or ErrEmpty. A goroutine that waits inside the library holds an operating
// system thread. Wait waits for any of many objects and descriptors.
//
// # Closing
//
// Close drops this process's handle, as often as it is called; waits in progress on it end with ErrClosed. The shared
// object lives as long as a handle does in any process. What was not closed is closed when the garbage collector finds
// it, which may be never. Pool.Close also ends the pool.
//
// # Building
//
// The package needs cgo, and finds libmp through pkg-config. Inside libmp's own tree the build tag mp_tree links
// target/release/libmp.so and mp_static links target/release/libmp.a. The tag mp_gc collects garbage at every use of a
// handle, to bring lifetime errors to light in tests.
package mp

//go:build mp_gc

package mp

import "runtime"

// collectGarbage runs at every use of a handle: an object that is not kept alive to the end of its call then goes
// during the call, in every test, and not in one of a thousand.
func collectGarbage() { runtime.GC() }

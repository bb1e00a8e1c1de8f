//go:build mp_tree

package cmp

// #cgo CFLAGS: -I${SRCDIR}/../../../../include
// #cgo LDFLAGS: -L${SRCDIR}/../../../../target/release -lmp -Wl,-rpath,${SRCDIR}/../../../../target/release
import "C"

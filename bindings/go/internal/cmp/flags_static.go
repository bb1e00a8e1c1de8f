//go:build mp_static && !mp_tree

package cmp

// #cgo CFLAGS: -I${SRCDIR}/../../../../include
// #cgo LDFLAGS: -L${SRCDIR}/../../../../target/release -l:libmp.a -lgcc_s -lutil -lrt -lpthread -lm -ldl -lc
import "C"

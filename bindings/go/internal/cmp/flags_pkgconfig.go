//go:build !mp_tree && !mp_static

package cmp

// #cgo pkg-config: mp
import "C"

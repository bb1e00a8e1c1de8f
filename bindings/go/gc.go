//go:build !mp_gc

package mp

func collectGarbage() {}

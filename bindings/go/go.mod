module libmp.dev/mp

go 1.24

module libmp/benches

go 1.21

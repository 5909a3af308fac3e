"""Server processes: services opened in order, the listening socket, workers and signals."""

"""List scheduling of very many tasks: where to look is kept sorted by time, see ``kernels``."""

"""Tasks with very many parents or children."""

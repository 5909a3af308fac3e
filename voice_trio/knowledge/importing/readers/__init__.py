"""Readers of file formats. They run in a reader process only, because the files may come from anywhere."""

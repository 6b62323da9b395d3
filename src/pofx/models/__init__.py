"""One file per model: this folder is the table of contents."""

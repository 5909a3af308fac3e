"""Speech recognition: voice activity, language models made from documents, and workers that decode."""

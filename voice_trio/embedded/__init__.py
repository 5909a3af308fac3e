"""A Realtime-compatible server for one machine: ears, a small mind and a voice, with no key and no network."""

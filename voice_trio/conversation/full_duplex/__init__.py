"""The full-duplex conversation: an upstream that listens and speaks at once, and decides by itself when to answer."""

"""Speech synthesis with espeak-ng."""

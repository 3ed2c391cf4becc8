"""The parts of suite.py: sizes, our side, the peer's, and the page."""

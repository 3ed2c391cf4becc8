"""The parts of suite.py and stock.py: sizes, our side, the peers', turns, and the page."""

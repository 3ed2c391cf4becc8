"""Measures everything in turn, round after round, so that whatever else the machine does falls on all of it."""
import sys

from .process import Failed


def take_turns(about, work, rounds, required=()):
    """Rounds of `work`, functions by name: [{name: {figure: value}}], and why some were left out, which fail once; those whose names begin
    with one of `required` may not."""
    done, left_out = [], {}
    for number in range(1, rounds + 1):
        done.append({})
        for name in [name for name in work if name not in left_out]:
            try:
                figures = done[-1][name] = work[name]()
            except Failed as failure:
                say(f"{about} round {number}  {name}: left out: {failure}")
                if name.startswith(tuple(required)):
                    raise
                left_out[name] = str(failure)
            else:
                say(f"{about} round {number}  {name}: " + ", ".join(f"{figure} {value:,.4g}" for figure, value in figures.items()))
    return done, left_out


def say(words):
    print(words, file=sys.stderr, flush=True)

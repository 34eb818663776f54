"""
Safe recovery: detect, decide, act, verify, and always be able to say why.

`states`, `cases`, `rules`, `picture`, `detect`, `logbook`, `pace`, `breaker`, `decide`, `verify`
and `explain` think: they take values and return values, and import no I/O, no clock, no logging
and no settings. `act` is the one place that changes the world; `engine` does the rounds.
"""

"""The pure core: what Kipu decides, and nothing of how it is done.

    command -> decide -> events -> (committed by the shell) -> evolve -> state -> effects

Promises: the standard library only; no clock, no randomness, no I/O, no floats, no set iteration.
Reading order: definition, graph, events, commands, lifecycle, state, evolve, policies; then decide, turn,
answers, advance; then effects.
"""

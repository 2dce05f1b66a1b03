"""The thin shell: everything that touches the world.

    handlers (kopf) -> engine -> actor (the turn) -> performer -> the cluster
                                   ^--- observer (Jobs and Pods) <---'

`main` puts it together. One actor owns one workflow's state; nothing else changes it.
"""

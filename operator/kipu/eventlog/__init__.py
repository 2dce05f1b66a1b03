"""The event log: the only place where something becomes true.

`ports` says what a log is, `codec` what a record looks like, `chunks` how records are packed;
`memory` is the reference, `configmaps` the default backend. All pass one contract suite.
"""

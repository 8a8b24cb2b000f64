"""DIMSE: DICOM's own network protocol, as a client and a server write it and read it.

Without I/O, bytes in and values out:

- `pdus` what the upper layer sends (PS3.8), as values; `association` its states, and messages within them;
- `commands` command sets (PS3.7), `statuses` what their status says, `rejections` why an association was refused;
- `negotiation` which presentation contexts are proposed and accepted; `services` the SOP classes.

Over blocking sockets:

- `connection` one association over a socket, with its time-outs and TLS;
- `client` what is asked of a peer: echo, find, get, move, store; `acceptor` what a peer may ask of us.

Whatever bytes come in, a value or a `DimseError` comes out.
"""

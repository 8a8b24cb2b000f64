"""The DIMSE services of an archive (PS3.4): what modalities, workstations and other archives ask of it.

- `provider` associations and requests, each counted and audited; `peers` who may ask, and where named peers are;
- `storing` C-STORE, by the same upload as STOW; `finding` C-FIND, from the index; `answers` its identifiers;
- `retrieving` C-GET and C-MOVE; `commitment` storage commitment.
"""

"""What can be asked of the server, one module a theme, and the table of it all in `table`.

An endpoint is a plain function `(Service, Ask) -> Answer`, run in a thread. It may take its time and may raise any
error of `hounsfield.errors`; `answers.STATUS` says what that becomes.
"""

from __future__ import annotations

"""Pure judgement: needs no server, no database and no network."""
